package storetest

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// OnMedium returns a Harness for a filestore.Store with the given configuration
// on simulated disks, which lose power where a rule asks for a crash.
func OnMedium(cfg filestore.Config) Harness {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &media{disks: map[string]*Medium{}, open: map[eventstore.EventStore]*Medium{}}
	full := func(o eventstore.Overflow) opener {
		small := cfg
		small.MaxBytes, small.SegmentBytes, small.Overflow = 8<<10, 0, o
		return m.opener(small)
	}
	return Harness{
		Open:           m.opener(cfg),
		Durable:        true,
		Crash:          m.crash,
		OpenFull:       full(eventstore.Block),
		OpenDropOldest: full(eventstore.DropOldest),
		OpenReject:     full(eventstore.Reject),
	}
}

// media are simulated disks by the name of the folder that they stand for.
type media struct {
	mu    sync.Mutex
	disks map[string]*Medium
	open  map[eventstore.EventStore]*Medium
}

func (m *media) opener(cfg filestore.Config) opener {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		d := m.disks[dir]
		if d == nil {
			d = new(Medium)
			m.disks[dir] = d
		}
		s, err := d.OpenConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m.open[s] = d
		return s
	}
}

func (m *media) crash(t *testing.T, s eventstore.EventStore) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[s].Crash()
}
