package filestore_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// A recorded is what a script has been promised.
type recorded struct {
	synced   uint64 // Sync has returned nil up to here
	acked    uint64 // Ack was called up to here
	appended uint64
}

// script works with a small store until it is done or an error says that the
// power is gone.
func script(t *testing.T, m *storetest.Medium, cfg filestore.Config) (r recorded, done bool) {
	t.Helper()
	s, err := m.OpenConfig(cfg)
	if err != nil {
		return r, false
	}
	ctx := limited(t)
	for i := uint64(1); i <= 300; i++ {
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
	r.synced = 300
	return r, true
}

// outcomes is how many of the states that a disk can be in after a power cut are
// tried for each operation; all of them, if there are fewer.
func outcomes() int { return flag.Lookup(outcomesFlag).Value.(flag.Getter).Get().(int) }

// TestTorturePowerCut cuts the power at every operation of a run, and tries what
// a disk that loses, tears and reorders what was not synced can make of it.
func TestTorturePowerCut(t *testing.T) {
	base := filestore.Config{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, SyncInterval: time.Hour, Logger: quiet()}
	for name, set := range map[string]func(*filestore.Config){
		"Always":   func(*filestore.Config) {},
		"Packed":   func(c *filestore.Config) { c.Key, c.Codec = key("k1"), compress.S2{} },
		"Prepared": func(c *filestore.Config) { c.SegmentBytes, c.MaxBytes = 12<<10, 96<<10 }, // with zeros ahead
		"Interval": func(c *filestore.Config) { c.Durability = filestore.Interval },
		"None":     func(c *filestore.Config) { c.Durability = filestore.None },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := base
			set(&cfg)
			most := outcomes()
			if cfg.Durability == filestore.Always { // there are not many, and no promise has an exception
				most = max(most, 1000)
			}
			cuts, states := 0, 0
			for done := false; !done; cuts++ {
				m := new(storetest.Medium)
				m.CutAfter(cuts + 1)
				var r recorded
				r, done = script(t, m, cfg)
				if cfg.Durability != filestore.Always && !done {
					r.synced, r.acked = 0, r.appended // may be undone
				}
				for left := range m.Outcomes(most) {
					states++
					checkAfterCrash(t, left, cfg, r, fmt.Sprintf("cut %d, state %d, %+v", cuts, states, r))
				}
			}
			t.Logf("%d states after power cuts at %d operations", states, cuts)
			if cuts < 50 || states < 4*cuts {
				t.Errorf("only %d states after %d cuts were tried", states, cuts)
			}
		})
	}
}

// checkAfterCrash checks that m holds all that was promised, and nothing else.
func checkAfterCrash(t *testing.T, m *storetest.Medium, cfg filestore.Config, r recorded, what string) {
	t.Helper()
	s, err := m.OpenConfig(cfg)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	dropped := s.Stats().Dropped
	offsets, marker := readAll(t, s, 0, eventstore.Limit{})
	first := r.acked + 1
	if len(offsets) > 0 {
		first = min(first, offsets[0])
	}
	next := first
	for _, o := range offsets {
		if o != next && next <= r.synced {
			t.Fatalf("%s: the record %d comes where %d should", what, o, next)
		}
		next = o + 1
	}
	if next <= r.synced && r.synced > r.acked || marker <= r.synced || marker > r.appended+2 {
		t.Fatalf("%s: the records end with %d, the next offset is %d", what, next-1, marker)
	}
	mustSync(t, s, marker)
	if st := s.Stats(); st.Dropped > r.appended-r.synced || dropped > st.Dropped {
		t.Fatalf("%s: %+v", what, st)
	}
	mustClose(t, s)
}

func TestEverySyncedRecordSurvivesWhatADiskMayLeave(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10, MaxBytes: 64 << 10, SyncInterval: time.Hour, Logger: quiet()}
	for name, left := range map[string]storetest.Leftover{
		"TornRecord":        {},
		"NothingUnsynced":   {Bytes: -1},
		"NamesButNoContent": {Bytes: -1, Names: true},
		"SomeOfBoth":        {Bytes: 333, Names: true},
		"AllContent":        {Bytes: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cuts := 0
			for done := false; !done; cuts++ {
				m := new(storetest.Medium)
				m.Leave(left)
				m.CutAfter(cuts + 1)
				var r recorded
				r, done = script(t, m, cfg)
				m.Crash()
				checkAfterCrash(t, m, cfg, r, fmt.Sprintf("cut %d, %+v", cuts, r))
				if d := m.Open().Stats().Dropped; d != 0 {
					t.Fatalf("cut %d: %d records count as dropped", cuts, d)
				}
				m.Crash()
			}
			if cuts < 100 {
				t.Errorf("only %d operations were tried", cuts)
			}
		})
	}
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
