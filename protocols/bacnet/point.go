package bacnet

import (
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	// faultLimit is the number of times in a row after which a property that has no
	// value is read more rarely, and one of whose request there was no answer alone.
	faultLimit = 3

	holdShortest = time.Minute
	holdLongest  = time.Hour
)

// A point is a property that is read.
type point struct {
	ref      wire.Reference
	readings []reading

	size     int // bytes of the last value; zero: not known
	cycle    uint64
	silences int // requests for it that were not answered, in a row
	errors   int // that it was answered with, in a row
	hold     time.Time

	sub    *subscription // nil: it is polled
	readAt time.Time     // when it is read although it is subscribed to
	seen   bool          // a notification brought it
	cache  text
}

// A reading is a key under which a point is reported.
type reading struct {
	key       string
	attribute bool
	decimals  int
	report    *telemetry.ReportPolicy
}

// A text is a value that was converted to text, kept because it rarely changes.
type text struct {
	raw   string
	value telemetry.Value
}

// isDue reports whether p is to be read now. The device's mutex is held.
func (p *point) isDue(now time.Time) bool {
	if now.Before(p.hold) {
		return false
	}
	return p.sub == nil || !p.sub.active || !p.seen || !now.Before(p.readAt)
}

// estimate returns how many bytes p takes in an answer.
func (p *point) estimate() int {
	const around = 6 // property, index, tags
	switch {
	case p.size > 0:
		return p.size + around
	case p.ref.Property == wire.PresentValue, p.ref.Property == wire.Units, p.ref.Property == wire.StatusFlags:
		return 5 + around
	default:
		return 34 + around
	}
}

// fail notes that p was answered with an error. It is reported once.
func (p *point) fail(log *slog.Logger, err error) {
	p.errors++
	if p.errors == 1 {
		log.Warn("property cannot be read", p.attrs(err)...)
	}
	if p.errors >= faultLimit {
		p.hold = time.Now().Add(min(holdShortest<<min(p.errors-faultLimit, 10), holdLongest))
	}
}

// recover notes that p has a value.
func (p *point) recover(log *slog.Logger) {
	p.silences = 0
	if p.errors > 0 {
		p.errors, p.hold = 0, time.Time{}
		log.Info("property can be read again", p.attrs(nil)...)
	}
}

func (p *point) attrs(err error) []any {
	attrs := []any{slog.String("property", p.ref.String())}
	if len(p.readings) > 0 {
		attrs = append(attrs, slog.String("key", p.readings[0].key))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	return attrs
}
