package filestore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// Config configures a Store. Only Dir is required.
type Config struct {
	// Dir is the folder of the store. Open creates it, for its owner only,
	// if it does not exist. One store at a time can have it open.
	Dir string

	// SegmentBytes is the size from which a new segment file is begun. It is
	// the unit in which room is freed. Zero means 4 MiB; it is at least
	// 4 KiB, and at most an eighth of MaxBytes. A record that is larger gets
	// a segment of its own.
	SegmentBytes int64

	// MaxBytes bounds the size of all segment files. Zero means 256 MiB. A
	// record that could never fit is refused with eventstore.ErrTooLarge.
	MaxBytes int64

	// MaxAge bounds how long a record is kept for a reader that does not
	// come. A segment is deleted, and its records are counted as dropped, when
	// its newest record is older. Zero means no limit.
	//
	// The age of a segment from an earlier run is taken from the time of its
	// file. A time before 2020, which a device without a battery-backed clock
	// produces, counts as the time of Open.
	MaxAge time.Duration

	// DamagedBytes bounds the size of the damaged segment files that are kept
	// for examination when their readable records have been delivered. The
	// oldest give way to newer ones, and all to records when the medium is
	// full. Zero means an eighth of MaxBytes; a negative number means that none
	// are kept.
	DamagedBytes int64

	// Durability is what Sync waits for. The zero value is Always.
	Durability Durability

	// SyncInterval is how long after it was appended a record that nobody
	// waits for becomes durable, how often the medium is forced at the level
	// Interval, and how often a store whose medium fails tries again. Zero
	// means one second.
	SyncInterval time.Duration

	// CloseTimeout bounds how long Close waits for a medium that does not
	// answer. Zero means 10 seconds.
	CloseTimeout time.Duration

	// Overflow is what Append does when there is no room.
	Overflow eventstore.Overflow

	// Codec compresses what is written. Nil means no compression.
	Codec Codec

	// Key encrypts what is written. The zero Key means no encryption.
	Key Key

	// OldCodecs and OldKeys are for reading what was written when Codec and Key
	// were others.
	OldCodecs []Codec
	OldKeys   []Key

	// Logger receives repairs, damage, and failures of the medium. Nil means
	// slog.Default().
	Logger *slog.Logger
}

const (
	defaultSegmentBytes = 4 << 20
	defaultMaxBytes     = 256 << 20
	minSegmentBytes     = 4 << 10
	segmentsInStore     = 8 // at least, so that room is freed in small steps
	defaultCloseTimeout = 10 * time.Second
)

func (c Config) withDefaults() Config {
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = defaultSegmentBytes
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultMaxBytes
	}
	c.SegmentBytes = min(max(c.SegmentBytes, minSegmentBytes), c.MaxBytes/segmentsInStore)
	if c.DamagedBytes == 0 {
		c.DamagedBytes = c.MaxBytes / 8
	}
	if c.SyncInterval <= 0 {
		c.SyncInterval = time.Second
	}
	if c.CloseTimeout <= 0 {
		c.CloseTimeout = defaultCloseTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	if c.Durability > None {
		return fmt.Errorf("durability: there is no level %d", c.Durability)
	}
	return nil
}
