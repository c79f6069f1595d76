package boltstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func opener(cfg Config) func(t *testing.T, dir string) eventstore.EventStore {
	return func(t *testing.T, dir string) eventstore.EventStore {
		t.Helper()
		cfg := cfg
		cfg.Path = filepath.Join(dir, "events.db")
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// crash abandons a store: what it has not written is lost.
func crash(t *testing.T, s eventstore.EventStore) {
	t.Helper()
	bolt := s.(*Store)
	bolt.end()
	bolt.writing.Lock()
	defer bolt.writing.Unlock()
	if err := bolt.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open:           opener(Config{}),
		Durable:        true,
		Crash:          crash,
		OpenFull:       opener(Config{MaxRecords: 50}),
		OpenDropOldest: opener(Config{MaxRecords: 50, Overflow: eventstore.DropOldest}),
		OpenReject:     opener(Config{MaxRecords: 50, Overflow: eventstore.Reject}),
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "boltstore")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := Open(Config{Path: filepath.Join(dir, "events.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	offset, err := store.Append(context.Background(), []byte("21.5"))
	if err == nil {
		err = store.Sync(context.Background(), offset)
	}
	fmt.Println(offset, err, store.Stats().Pending)
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 <nil> 1
}
