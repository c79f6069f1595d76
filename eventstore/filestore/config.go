package filestore

import (
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

	// SyncInterval is how long after it was appended a record that nobody
	// waits for becomes durable, and how often a store whose medium fails tries
	// again. Zero means one second.
	SyncInterval time.Duration

	// Overflow is what Append does when there is no room.
	Overflow eventstore.Overflow

	// Logger receives repairs, damage, and failures of the medium. Nil means
	// slog.Default().
	Logger *slog.Logger
}

const (
	defaultSegmentBytes = 4 << 20
	defaultMaxBytes     = 256 << 20
	minSegmentBytes     = 4 << 10
	segmentsInStore     = 8 // at least, so that room is freed in small steps
)

func (c Config) withDefaults() Config {
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = defaultSegmentBytes
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultMaxBytes
	}
	c.SegmentBytes = min(max(c.SegmentBytes, minSegmentBytes), c.MaxBytes/segmentsInStore)
	if c.SyncInterval <= 0 {
		c.SyncInterval = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
