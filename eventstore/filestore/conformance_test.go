package filestore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// media are simulated disks by the name of the folder that they stand for.
type media struct {
	mu    sync.Mutex
	disks map[string]*storetest.Medium
	open  map[eventstore.EventStore]*storetest.Medium
}

func (m *media) opener(cfg filestore.Config) func(t *testing.T, dir string) eventstore.EventStore {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		m.mu.Lock()
		defer m.mu.Unlock()
		d := m.disks[dir]
		if d == nil {
			d = new(storetest.Medium)
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

func full(o eventstore.Overflow) filestore.Config {
	return filestore.Config{MaxBytes: 8 << 10, Overflow: o}
}

func TestConformanceOnSimulatedDisk(t *testing.T) {
	m := &media{disks: map[string]*storetest.Medium{}, open: map[eventstore.EventStore]*storetest.Medium{}}
	for name, cfg := range map[string]filestore.Config{
		"Defaults":      {},
		"SmallSegments": {SegmentBytes: 4 << 10, SyncInterval: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{
				Open:           m.opener(cfg),
				Durable:        true,
				Crash:          m.crash,
				OpenFull:       m.opener(full(eventstore.Block)),
				OpenDropOldest: m.opener(full(eventstore.DropOldest)),
				OpenReject:     m.opener(full(eventstore.Reject)),
			})
		})
	}
}

func inFolder(cfg filestore.Config) func(t *testing.T, dir string) eventstore.EventStore {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		cfg := cfg
		cfg.Dir = dir
		s, err := filestore.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestConformanceInFolder(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open:           inFolder(filestore.Config{SegmentBytes: 16 << 10}),
		Durable:        true,
		OpenFull:       inFolder(full(eventstore.Block)),
		OpenDropOldest: inFolder(full(eventstore.DropOldest)),
		OpenReject:     inFolder(full(eventstore.Reject)),
	})
}
