package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// A medium that becomes read-only, or whose folder is gone, costs nothing but
// the time until it is back.
func TestWhatGoesAwayAndComesBackCostsNothing(t *testing.T) {
	for name, set := range map[string]func(*storetest.Medium, error){
		"ReadOnly": (*storetest.Medium).FailWrite, "Folder": (*storetest.Medium).Detach,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(storetest.Medium)
				m.Leave(storetest.Leftover{Bytes: -1})
				s := backlog(t, m, filestore.Config{SegmentBytes: 4 << 10}, 300)
				cause := map[string]error{"ReadOnly": syscall.EROFS, "Folder": fs.ErrNotExist}[name]
				set(m, cause)
				appendOne(t, s, 301)
				if err := s.Sync(t.Context(), 301); !errors.Is(err, cause) {
					t.Errorf("Sync: %v, want %v", err, cause)
				}
				if err := s.Ack(t.Context(), 100); err != nil {
					t.Error(err)
				}
				got := make(chan error, 1)
				go func() { got <- peekRun(t.Context(), s, 100, 301) }()
				time.Sleep(time.Hour)
				if err := s.Condition().Failure; !errors.Is(err, cause) {
					t.Errorf("the condition is %v", err)
				}
				set(m, nil)
				time.Sleep(3 * time.Second)
				if err := <-got; err != nil {
					t.Error(err)
				}
				if st, c := s.Stats(), s.Condition(); c.Failure != nil || st.Dropped != 0 {
					t.Errorf("%+v, %+v", st, c)
				}
				m.Crash()
				s = openOn(t, m, filestore.Config{})
				offsets, _ := readAll(t, s, 0, eventstore.Limit{})
				expectRun(t, offsets, 101, 301)
			})
		})
	}
}

// peekRun reads the payloads of the offsets after one and up to another.
func peekRun(ctx context.Context, s *filestore.Store, after, last uint64) error {
	for after < last {
		recs, err := s.Peek(ctx, after, nil, eventstore.Limit{})
		if err != nil {
			return err
		}
		for _, r := range recs {
			after++
			if r.Offset != after || string(r.Data) != string(payload(after)) {
				return fmt.Errorf("the record %d is %d, %.60q", after, r.Offset, r.Data)
			}
		}
	}
	return nil
}

// unreadable makes reads of a file fail from one position up to another.
func unreadable(name string, from, to int64) func(string, int64, int) error {
	return func(n string, pos int64, size int) error {
		if n == name && pos < to && pos+int64(size) > from {
			return syscall.EIO
		}
		return nil
	}
}

func TestAReadThatFailsForAMomentCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := backlog(t, m, filestore.Config{SegmentBytes: 16 << 10}, 1000)
		m.FailRead(func(string, int64, int) error { return syscall.EIO })
		got := make(chan error, 1)
		go func() { got <- peekRun(t.Context(), s, 0, 1000) }()
		time.Sleep(2500 * time.Millisecond)
		if err := s.Condition().Failure; !errors.Is(err, syscall.EIO) {
			t.Errorf("the condition is %v", err)
		}
		m.FailRead(nil)
		if err := <-got; err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// While writing fails too it is the medium that is broken, and not a segment.
func TestAMediumThatCannotBeUsedCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := backlog(t, m, filestore.Config{SegmentBytes: 16 << 10}, 1000)
		m.FailRead(func(string, int64, int) error { return syscall.EIO })
		m.FailWrite(syscall.EIO)
		got := make(chan error, 1)
		go func() { got <- peekRun(t.Context(), s, 0, 1000) }()
		time.Sleep(time.Hour)
		m.FailRead(nil)
		m.FailWrite(nil)
		if err := <-got; err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhatCannotBeReadIsSkippedAndKeptAside(t *testing.T) {
	const firstFile = "00000000000000000001.seg"
	for name, c := range map[string]struct {
		from, to int64
		lost     uint64
	}{
		"Sector":   {4 << 10, 8 << 10, 64 + 1},
		"Rest":     {8 << 10, 1 << 20, 0},
		"AllOfIt":  {0, 1 << 20, 0},
		"OneTwice": {4 << 10, 4<<10 + 1, 64 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged syncBuffer
				m := new(storetest.Medium)
				s := backlog(t, m, filestore.Config{SegmentBytes: 16 << 10, Logger: logged.logger()}, 1000)
				inFirst := uint64((16<<10 - headerBytes) / payloadBytes)
				lost := c.lost
				if lost == 0 {
					lost = inFirst - uint64(max(0, c.from-headerBytes)/payloadBytes)
				}
				m.FailRead(unreadable(firstFile, c.from, c.to))
				var read uint64
				for after := uint64(0); after < 1000; {
					recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{})
					if err != nil {
						t.Fatal(err)
					}
					read += uint64(len(recs))
					after = recs[len(recs)-1].Offset
				}
				st, cond := s.Stats(), s.Condition()
				if st.Dropped != lost || read != 1000-lost || cond.Damaged != lost || cond.Failure != nil {
					t.Errorf("%d records were read, want all but %d; %+v, %+v", read, lost, st, cond)
				}
				if n := strings.Count(logged.String(), "cannot be read are skipped"); n != 1 || !strings.Contains(logged.String(), firstFile) {
					t.Errorf("logged %d times:\n%s", n, logged.String())
				}
				if err := s.Ack(t.Context(), 1000); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				if _, ok := m.Files()[firstFile+".damaged"]; !ok || s.Condition().AsideFiles != 1 {
					t.Errorf("the files are %v, %+v", m, s.Condition())
				}
			})
		})
	}
}

func TestOpenDoesNotFailBecauseTheNewestSegmentCannotBeRead(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10})
	fill(t, s, 70)
	mustClose(t, s)
	m.FailRead(unreadable("00000000000000000064.seg", 0, 1<<20))
	s = openOn(t, m, filestore.Config{SyncInterval: time.Millisecond})
	off, err := s.Append(t.Context(), []byte("marker"))
	if err != nil || off < 71 {
		t.Fatalf("Append: %d, %v", off, err)
	}
	mustSync(t, s, off)
	var after uint64
	for after < off {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		after = recs[len(recs)-1].Offset
		if len(recs) == 0 || recs[0].Offset == 64 {
			t.Fatalf("%v", recs)
		}
	}
}

// damagedStore returns a medium with a store of n segments of which the first
// few are damaged.
func damagedStore(t *testing.T, segments, damaged int) *storetest.Medium {
	t.Helper()
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10})
	fill(t, s, 63*segments)
	mustClose(t, s)
	for i := range damaged {
		name := fmt.Sprintf("%020d.seg", 1+63*i)
		b, ok := m.ReadFile(name)
		if !ok {
			t.Fatal(m)
		}
		b[100] ^= 1
		m.WriteFile(name, b)
	}
	return m
}

// consume reads and acknowledges everything.
func consume(t *testing.T, s *filestore.Store, last uint64) {
	t.Helper()
	for after := uint64(0); after < last; {
		recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		after = recs[len(recs)-1].Offset
		if err := s.Ack(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
}

func asideFiles(m *storetest.Medium) (n int) {
	for name := range m.Files() {
		if strings.HasSuffix(name, ".damaged") {
			n++
		}
	}
	return n
}

func TestDamagedFilesAreKeptAsideWithinTheirBound(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64
		want  int
	}{"Default": {0, 6}, "Two": {9 << 10, 2}, "None": {-1, 0}} {
		t.Run(name, func(t *testing.T) {
			m := damagedStore(t, 10, 6)
			s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10, DamagedBytes: c.limit, SyncInterval: time.Millisecond})
			consume(t, s, 630)
			if d := s.Stats().Dropped; d != 6 {
				t.Errorf("%d records were dropped", d)
			}
			eventually(t, "the segments are gone", func() bool {
				_, ok := m.Files()["00000000000000000316.seg"]
				return !ok && asideFiles(m) <= c.want && s.Condition().AsideFiles == c.want
			})
			mustClose(t, s)
			if n := asideFiles(m); n != c.want {
				t.Errorf("%d files are aside, want %d: %v", n, c.want, m)
			}
			if _, ok := m.Files()["00000000000000000316.seg.damaged"]; c.want > 0 && !ok {
				t.Errorf("the newest is not among those kept: %v", m)
			}
			s = openOn(t, m, filestore.Config{})
			if cond := s.Condition(); cond.AsideFiles != c.want || (cond.AsideBytes > 0) != (c.want > 0) {
				t.Errorf("%+v after reopening", cond)
			}
		})
	}
}

func TestAFullMediumIsFreedOfWhatIsAsideFirst(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Block, eventstore.DropOldest, eventstore.Reject} {
		m := damagedStore(t, 10, 6)
		s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10, Overflow: o, SyncInterval: time.Millisecond})
		consume(t, s, 600)
		eventually(t, "files are aside", func() bool { return s.Condition().AsideFiles == 6 })
		m.SetCapacity(used(m) + 100)
		for i := uint64(631); i < 900; i++ {
			appendOne(t, s, i)
			mustSync(t, s, i)
		}
		if st, n := s.Stats(), asideFiles(m); st.Dropped != 6 || n != 0 {
			t.Errorf("policy %d: %+v, %d files are aside", o, st, n)
		}
		mustClose(t, s)
	}
}

func used(m *storetest.Medium) (sum int64) {
	for _, size := range m.Files() {
		sum += int64(size)
	}
	return sum
}

// Whatever the moment at which reading begins to fail, what is read is in order
// and true, and the rest is counted.
func TestReadsThatFailAtRandomCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := backlog(t, m, filestore.Config{SegmentBytes: 4 << 10}, 2000)
		var n atomic.Int64
		m.FailRead(func(string, int64, int) error {
			if n.Add(1)%3 != 0 {
				return syscall.EIO
			}
			return nil
		})
		if err := peekRun(t.Context(), s, 0, 2000); err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
	})
}
