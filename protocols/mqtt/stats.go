package mqtt

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Stats counts messages since the connector was made.
type Stats struct {
	Received     uint64 // messages that the broker delivered
	Submitted    uint64 // batches that the gateway accepted
	Acknowledged uint64 // QoS 1 messages that were acknowledged
	Malformed    uint64 // conversions that failed
	Rejected     uint64 // batches that the gateway refused as invalid
	Unmatched    uint64 // messages that no filter matches
	Requests     uint64 // requests of devices that could not be carried out
	Values       ValueStats
}

// ValueStats counts values that a converter could not deliver as configured.
type ValueStats struct {
	Missing uint64 // left out: a placeholder has no value
	Kept    uint64 // delivered as text: they do not have the type asked for
	Items   uint64 // elements of an array that do not convert
	Times   uint64 // timestamps that cannot be read
}

type counters struct {
	received, submitted, acknowledged, malformed, rejected, unmatched, requests atomic.Uint64
}

// Stats returns the counts so far. It may be called at any time.
func (c *Connector) Stats() Stats {
	s := Stats{
		Received:     c.stats.received.Load(),
		Submitted:    c.stats.submitted.Load(),
		Acknowledged: c.stats.acknowledged.Load(),
		Malformed:    c.stats.malformed.Load(),
		Rejected:     c.stats.rejected.Load(),
		Unmatched:    c.stats.unmatched.Load(),
		Requests:     c.stats.requests.Load(),
	}
	for _, m := range c.cfg.Mappings {
		if v, ok := m.Converter.(valueCounter); ok {
			v.addTo(&s.Values)
		}
	}
	return s
}

type valueCounter interface {
	addTo(s *ValueStats)
	kept() uint64
}

// valueCounts is what the converters of this package count.
type valueCounts struct{ missing, keptText, items, times atomic.Uint64 }

func (c *valueCounts) addTo(s *ValueStats) {
	s.Missing += c.missing.Load()
	s.Kept += c.keptText.Load()
	s.Items += c.items.Load()
	s.Times += c.times.Load()
}

func (c *valueCounts) kept() uint64 { return c.keptText.Load() + c.items.Load() + c.times.Load() }

// quiet is how long a mapping must be free of faults before the next one is
// logged again.
const quiet = time.Minute

// faultState keeps the log of a mapping to one entry per change of state.
type faultState struct {
	bad   bool
	since uint64 // faults in this state
	last  time.Time
	kept  uint64 // of the converter, when last looked at
}

// fault records that a mapping failed.
func (r *run) fault(mapping int, topic, what string, err error) {
	f := &r.pipe.faults[mapping]
	f.since++
	f.last = time.Now()
	if f.bad {
		return
	}
	f.bad = true
	r.host.Logger().Warn(what, slog.Int("mapping", mapping), //nolint:sloglint // the callers' messages are literals
		slog.String("filter", r.c.cfg.Mappings[mapping].Filter),
		slog.String("topic", topic), slog.Any("error", err))
}

var errPartly = errors.New("values without the type asked for are kept as text, and elements or times that cannot be read are left out")

// partly reports whether the mapping's converter could not deliver all of the
// last message as configured, and records that.
func (r *run) partly(mapping int, topic string, conv UplinkConverter) bool {
	v, ok := conv.(valueCounter)
	if !ok {
		return false
	}
	f := &r.pipe.faults[mapping]
	n := v.kept()
	if n == f.kept {
		return false
	}
	f.kept = n
	r.fault(mapping, topic, "a message does not convert completely", errPartly)
	return true
}

// clear records that a mapping worked.
func (r *run) clear(mapping int) {
	f := &r.pipe.faults[mapping]
	if !f.bad || time.Since(f.last) < quiet {
		return
	}
	r.host.Logger().Info("messages convert again", slog.Int("mapping", mapping),
		slog.String("filter", r.c.cfg.Mappings[mapping].Filter), slog.Uint64("faults", f.since))
	f.bad, f.since = false, 0
}
