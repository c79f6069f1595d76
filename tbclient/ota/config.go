package ota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// The kinds of packages that a platform has. A device may have one of each.
const (
	Firmware = "fw"
	Software = "sw"
)

// An Image is a package that is ready to be installed.
type Image struct {
	Title, Version, Tag string

	// Path is the file with the package, or empty if the platform names a URL
	// instead. Install may move or change it; it is removed afterwards.
	Path      string
	Size      int64  // in bytes; with a URL as announced, and zero if it is not
	Checksum  string // as announced
	Algorithm string // of the checksum: md5, sha256, sha384, sha512, crc32, murmur3_32 or murmur3_128

	URL string // not checked, and not empty only if Path is
}

// Config configures an Updater. Folder and Install are required.
type Config struct {
	Kind string // Firmware or Software. Zero: Firmware

	// Title and Version are what runs now. They are compared with what the
	// platform announces.
	Title, Version string

	// Folder keeps the package and the state of its download. It is created if
	// it does not exist. Updaters of different kinds may share it.
	Folder string

	// Install puts an image in place. It returns when the image runs, or will
	// run from the next start on; or it never returns because the process is
	// replaced. ctx is done when Run is to end, and only then; an Install that
	// then returns an error is called again after the next start. Any other
	// error is the reason for which the update has failed, and is reported to
	// the platform.
	Install func(ctx context.Context, image Image) error

	// ChunkSize is how many bytes are asked for at once. It has to be below the
	// platform's largest payload. Zero: 16 KiB.
	ChunkSize int

	// MaxSize is the size of the largest package to download. Zero: 1 GiB.
	MaxSize int64

	// Reserve is the space that a download leaves to others on the medium of
	// Folder. Zero: 16 MiB; negative: none.
	Reserve int64

	// Timeout is how long the platform may take to answer. Zero: 30 seconds.
	Timeout time.Duration

	// Retries is how often a chunk is asked for again of a platform that answers
	// other requests; one that is out of reach is waited for. Zero: 10;
	// negative: none.
	Retries int

	// Refresh is how often the attributes are read even if no change was told.
	// Zero: 30 minutes.
	Refresh time.Duration

	Logger *slog.Logger // zero: slog.Default()
}

func (c *Config) setDefaults() {
	if c.Kind == "" {
		c.Kind = Firmware
	}
	setDefault(&c.ChunkSize, 16<<10)
	setDefault(&c.MaxSize, 1<<30)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Refresh, 30*time.Minute)
	switch {
	case c.Reserve == 0:
		c.Reserve = 16 << 20
	case c.Reserve < 0:
		c.Reserve = 0
	}
	switch {
	case c.Retries == 0:
		c.Retries = 10
	case c.Retries < 0:
		c.Retries = 0
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

func (c *Config) check() error {
	switch {
	case c.Kind != Firmware && c.Kind != Software:
		return fmt.Errorf("ota: kind %q is neither %q nor %q", c.Kind, Firmware, Software)
	case c.Folder == "":
		return errors.New("ota: no folder")
	case c.Install == nil:
		return errors.New("ota: nothing to install with")
	}
	return nil
}
