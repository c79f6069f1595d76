package filestore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// A run is what a script has been promised.
type run struct {
	synced   uint64 // Sync has returned nil up to here
	acked    uint64 // Ack was called up to here
	appended uint64
}

// script works with a small store until it is done or an error says that the
// power is gone.
func script(t *testing.T, m *storetest.Medium, cfg filestore.Config) (r run, done bool) {
	t.Helper()
	s, err := m.OpenConfig(cfg)
	if err != nil {
		return r, false
	}
	ctx := limited(t)
	for i := uint64(1); i <= 400; i++ {
		if r.appended, err = s.Append(ctx, payload(i)); err != nil {
			return r, false
		}
		if i%9 == 0 {
			if s.Sync(ctx, i) != nil {
				return r, false
			}
			r.synced = i
		}
		if i%37 == 0 {
			if _, err := s.Peek(ctx, r.acked, nil, eventstore.Limit{}); err != nil {
				return r, false
			}
			if s.Ack(ctx, i-11) != nil {
				return r, false
			}
			r.acked = i - 11
		}
	}
	if s.Close() != nil {
		return r, false
	}
	r.synced = 400
	return r, true
}

func TestEverySyncedRecordSurvivesAPowerCutAtAnyOperation(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, SyncInterval: time.Hour, Logger: quiet()}
	for name, left := range map[string]storetest.Leftover{
		"TornRecord":        {},
		"NothingUnsynced":   {Bytes: -1},
		"NamesButNoContent": {Bytes: -1, Names: true},
		"SomeOfBoth":        {Bytes: 333, Names: true},
		"AllContent":        {Bytes: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			cuts := 0
			for done := false; !done; cuts++ {
				m := new(storetest.Medium)
				m.Leave(left)
				m.CutAfter(cuts + 1)
				var r run
				r, done = script(t, m, cfg)
				m.Crash()
				t.Run(fmt.Sprint("After", cuts), func(t *testing.T) { checkAfterCrash(t, m, cfg, r) })
				if t.Failed() {
					return
				}
			}
			if cuts < 100 {
				t.Errorf("only %d operations were tried", cuts)
			}
		})
	}
}

func checkAfterCrash(t *testing.T, m *storetest.Medium, cfg filestore.Config, r run) {
	t.Helper()
	s, err := m.OpenConfig(cfg)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	offsets, marker := readAll(t, s, 0, eventstore.Limit{})
	first := r.acked + 1
	if len(offsets) > 0 {
		first = offsets[0]
	}
	if first > r.acked+1 {
		t.Fatalf("%+v: the first record is %d", r, first)
	}
	if marker <= r.synced || marker > r.appended+2 {
		t.Fatalf("%+v: the next offset is %d", r, marker)
	}
	expectRun(t, offsets, first, max(marker-1, first-1))
	mustSync(t, s, marker)
	if st := s.Stats(); st.Dropped != 0 {
		t.Fatalf("%+v: %+v", r, st)
	}
	mustClose(t, s)
}

// TestCrashesInSuccession goes on with what the last crash has left.
func TestCrashesInSuccession(t *testing.T) {
	m := new(storetest.Medium)
	cfg := filestore.Config{SegmentBytes: 4 << 10, MaxBytes: 1 << 20, SyncInterval: time.Hour, Logger: quiet()}
	synced := uint64(0)
	for round := range 60 {
		m.Leave(storetest.Leftover{Bytes: round * 13, Names: round%2 == 0})
		m.CutAfter(1 + round*7%40)
		ctx := limited(t)
		if s, err := m.OpenConfig(cfg); err == nil {
			next := s.Stats().Pending + 1
			for range 200 {
				off, err := s.Append(ctx, payload(next))
				if err != nil {
					break
				}
				if off != next {
					t.Fatalf("round %d: offset %d, want %d", round, off, next)
				}
				next++
				if off%5 == 0 && s.Sync(ctx, off) == nil {
					synced = off
				}
			}
		}
		m.Crash()
		s, err := m.OpenConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if p := s.Stats().Pending; p < synced {
			t.Fatalf("round %d: %d records, but %d were synced", round, p, synced)
		}
		synced = s.Stats().Pending
		var recs []eventstore.Record
		for uint64(len(recs)) < synced {
			if recs, err = s.Peek(ctx, uint64(len(recs)), recs, eventstore.Limit{}); err != nil {
				t.Fatalf("round %d, after %d records: %v, %+v", round, len(recs), err, s.Stats())
			}
		}
		for i, r := range recs {
			if r.Offset != uint64(i+1) || string(r.Data) != string(payload(r.Offset)) {
				t.Fatalf("round %d: the record %d is %d, %.60q", round, i+1, r.Offset, r.Data)
			}
		}
		mustClose(t, s)
	}
	if synced < 500 {
		t.Errorf("only %d records were synced", synced)
	}
}
