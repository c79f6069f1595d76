package filestore_test

import (
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// key returns the key of an ID.
func key(id string) filestore.Key {
	secret := make([]byte, 32)
	copy(secret, "the secret of "+id)
	return filestore.Key{ID: id, Secret: secret}
}

func full(o eventstore.Overflow) filestore.Config {
	return filestore.Config{MaxBytes: 8 << 10, Overflow: o}
}

func TestConformanceOnSimulatedDisk(t *testing.T) {
	for name, cfg := range map[string]filestore.Config{
		"Defaults":      {},
		"SmallSegments": {SegmentBytes: 4 << 10, SyncInterval: time.Millisecond},
		"Encrypted":     {SegmentBytes: 16 << 10, Key: key("k1")},
		"Packed":        {SegmentBytes: 16 << 10, Key: key("k1"), Codec: compress.S2{}},
	} {
		t.Run(name, func(t *testing.T) { storetest.Run(t, storetest.OnMedium(cfg)) })
	}
}

// At the lower levels a power cut may undo what was confirmed, so the rules about
// crashes do not apply.
func TestConformanceAtTheLowerLevels(t *testing.T) {
	for name, level := range map[string]filestore.Durability{"Interval": filestore.Interval, "None": filestore.None} {
		t.Run(name, func(t *testing.T) {
			h := storetest.OnMedium(filestore.Config{Durability: level, SegmentBytes: 4 << 10, SyncInterval: time.Millisecond})
			h.Crash = nil
			storetest.Run(t, h)
		})
	}
}

func inFolder(cfg filestore.Config) func(t *testing.T, dir string) eventstore.EventStore {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		cfg := cfg
		cfg.Dir, cfg.Logger = dir, quiet()
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
