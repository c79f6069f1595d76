package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func openOn(tb testing.TB, m *storetest.Medium, cfg filestore.Config) *filestore.Store {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	s, err := m.OpenConfig(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

var errMedium = errors.New("broken medium")

func TestSyncAfterAFailedSyncIsTrue(t *testing.T) {
	for name, c := range map[string]struct{ before, failures int }{
		"NewSegment": {0, 1}, "MiddleOfSegment": {10, 1}, "LaterSegment": {2000, 1}, "Repeatedly": {10, 3},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.before
			m := new(storetest.Medium)
			s := openOn(t, m, filestore.Config{SegmentBytes: 16 << 10, SyncInterval: time.Hour})
			if before > 0 {
				mustSync(t, s, fill(t, s, before))
			}
			last := fill(t, s, 1000)
			m.FailSync(errMedium)
			for range c.failures {
				if err := s.Sync(t.Context(), last); !errors.Is(err, errMedium) {
					t.Fatalf("Sync: %v, want the error of the medium", err)
				}
			}
			if before > 0 {
				mustSync(t, s, uint64(before)) // was durable before
			}
			last = fill(t, s, 100)
			m.FailSync(nil)
			mustSync(t, s, last)
			if _, ok := m.Files()[fmt.Sprintf("%020d.seg", before+1)]; !ok {
				t.Errorf("the file whose sync has failed is still in use: %v", m)
			}
			offsets, _ := readAll(t, s, 0, eventstore.Limit{Records: 33})
			expectRun(t, offsets, 1, last)
			m.Crash()

			s = openOn(t, m, filestore.Config{})
			offsets, _ = readAll(t, s, 0, eventstore.Limit{Records: 33})
			expectRun(t, offsets, 1, last)
			if n := s.Stats().Dropped; n != 0 {
				t.Errorf("%d records were lost", n)
			}
		})
	}
}

func TestStoreThatNobodyWaitsForRecoversByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{})
		m.FailSync(errMedium)
		last := fill(t, s, 10)
		time.Sleep(10 * time.Second)
		m.FailSync(nil)
		time.Sleep(1100 * time.Millisecond)
		m.Crash()
		s = openOn(t, m, filestore.Config{})
		offsets, _ := readAll(t, s, 0, eventstore.Limit{})
		expectRun(t, offsets, 1, last)
	})
}

func TestFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged syncBuffer
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{Logger: logged.logger()})
		m.FailSync(errMedium)
		fill(t, s, 10)
		time.Sleep(time.Minute)
		m.FailSync(nil)
		time.Sleep(time.Minute)
		if n := strings.Count(logged.String(), "medium fails"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, logged.String())
		}
		if n := strings.Count(logged.String(), "works again"); n != 1 {
			t.Errorf("recovery logged %d times:\n%s", n, logged.String())
		}
	})
}

func TestRecordsBecomeDurableWithinTheIntervalAndThenNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{SyncInterval: 5 * time.Second})
		last := fill(t, s, 10)
		time.Sleep(4900 * time.Millisecond)
		if n := s.Stats().Syncs; n != 0 {
			t.Errorf("%d syncs before the interval has passed", n)
		}
		time.Sleep(200 * time.Millisecond)
		if n := s.Stats().Syncs; n != 1 {
			t.Errorf("%d syncs when the interval has passed", n)
		}
		if err := s.Ack(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		ops := m.Operations()
		time.Sleep(24 * time.Hour)
		if n := m.Operations(); n != ops {
			t.Errorf("an idle store has done %d operations", n-ops)
		}
		m.Crash()
		s = openOn(t, m, filestore.Config{})
		if st := s.Stats(); st.Pending != 0 {
			t.Errorf("the cursor was not saved: %+v", st)
		}
	})
}

func TestHungMediumBlocksNeitherContextNorAppendNorPeek(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SyncInterval: time.Hour})
	release := m.HoldSync()
	defer release()
	last := fill(t, s, 10)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Sync(ctx, last) }()
	eventually(t, "a sync is held", func() bool { return m.Waiting() == 1 })
	cancel()
	select {
	case err := <-result:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Sync: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Sync waits although its context has ended")
	}
	last = fill(t, s, 1000)
	offsets, _ := readAll(t, s, 0, eventstore.Limit{})
	expectRun(t, offsets, 1, last)
	if st := s.Stats(); st.Pending != last+1 || st.Syncs != 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Ack(t.Context(), 5); err != nil {
		t.Error(err)
	}
	release()
	mustSync(t, s, last)
}

func TestHungMediumBlocksAppendWhenTooMuchWaits(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SyncInterval: time.Hour, Overflow: eventstore.Reject})
	release := m.HoldSync()
	big := make([]byte, 1<<20)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	n := 0
	var err error
	for ; err == nil && n < 100; n++ {
		_, err = s.Append(ctx, big)
	}
	if !errors.Is(err, context.DeadlineExceeded) || n > 9 {
		t.Errorf("after %d MiB: %v", n, err)
	}
	release()
	mustSync(t, s, nextOffset(s)-1)
	fill(t, s, 1)
}

func TestWaitersShareASync(t *testing.T) {
	const waiters = 64
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SyncInterval: time.Hour})
	mustSync(t, s, fill(t, s, 1))
	before := s.Stats().Syncs
	release := m.HoldSync()
	defer release()
	ctx := limited(t)
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			off, err := s.Append(ctx, []byte("x"))
			if err = errors.Join(err, s.Sync(ctx, off)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all have appended and a sync is held", func() bool {
		return s.Stats().Appended == waiters+1 && m.Waiting() == 1
	})
	release()
	wg.Wait()
	if n := s.Stats().Syncs - before; n > 3 {
		t.Errorf("%d syncs for %d waiters", n, waiters)
	}
}

func TestFullMediumMakesBlockWaitAndGoOn(t *testing.T) {
	m := new(storetest.Medium)
	m.SetCapacity(30_000)
	s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10, SyncInterval: 5 * time.Millisecond})
	var last uint64
	var err error
	for err == nil && last < 1000 {
		last = fill(t, s, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err = s.Sync(ctx, last)
		cancel()
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Sync of %d on a full medium: %v", last, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = s.Append(ctx, payload(last+1)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Append on a full medium: %v", err)
	}
	if err := s.Ack(t.Context(), last/2); err != nil { // makes room for more segments
		t.Fatal(err)
	}
	mustSync(t, s, last)
	offsets, marker := readAll(t, s, 0, eventstore.Limit{})
	expectRun(t, offsets, last/2+1, last)
	mustSync(t, s, marker)
	m.Crash()
	s = openOn(t, m, filestore.Config{})
	if st := s.Stats(); st.Pending < last-last/2 || st.Dropped != 0 {
		t.Errorf("%+v after the crash", st)
	}
}

// A medium may have less room than one segment. The segment is removed when all of
// it is released, though it is the one that is appended to.
func TestAFullMediumIsFreedByTheLastSegment(t *testing.T) {
	for _, overflow := range []eventstore.Overflow{eventstore.Block, eventstore.Reject} {
		m := new(storetest.Medium)
		m.SetCapacity(30_000)
		s := openOn(t, m, filestore.Config{SyncInterval: 5 * time.Millisecond, Overflow: overflow})
		last := uint64(0)
		for range 3 {
			begun := last
			for err := error(nil); err == nil; {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				var offset uint64
				if offset, err = s.Append(ctx, payload(last+1)); err == nil {
					last = offset
					_ = s.Sync(ctx, offset)
				}
				cancel()
			}
			if last == begun {
				t.Fatalf("no room after all %d records were released", last)
			}
			if err := s.Ack(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		offset, err := s.Append(ctx, payload(last+1))
		if err == nil {
			err = s.Sync(ctx, offset)
		}
		cancel()
		if err != nil {
			t.Fatalf("after the last release: %v", err)
		}
	}
}

func TestFullMediumMakesRejectFailAndGoOn(t *testing.T) {
	m := new(storetest.Medium)
	m.SetCapacity(30_000)
	s := openOn(t, m, filestore.Config{
		SegmentBytes: 4 << 10, SyncInterval: 5 * time.Millisecond, Overflow: eventstore.Reject,
	})
	var last uint64
	var err error
	for err == nil && last < 1000 {
		if last, err = s.Append(t.Context(), payload(last+1)); err == nil {
			err = s.Sync(t.Context(), last)
		}
	}
	if !errors.Is(err, eventstore.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full medium: %v", err)
	}
	if _, err = s.Append(t.Context(), nil); !errors.Is(err, eventstore.ErrFull) {
		t.Fatalf("Append on a full medium: %v", err)
	}
	m.SetCapacity(0)
	eventually(t, "Append succeeds when the medium has room", func() bool {
		_, err = s.Append(t.Context(), []byte("marker"))
		return err == nil
	})
	mustSync(t, s, nextOffset(s)-1)
}

func TestFullMediumMakesDropOldestDrop(t *testing.T) {
	m := new(storetest.Medium)
	m.SetCapacity(30_000)
	s := openOn(t, m, filestore.Config{
		SegmentBytes: 4 << 10, SyncInterval: time.Hour, Overflow: eventstore.DropOldest,
	})
	var last uint64
	for range 300 {
		last = fill(t, s, 10)
		mustSync(t, s, last)
	}
	st := s.Stats()
	if st.Dropped == 0 || st.Dropped+st.Pending != last {
		t.Fatalf("%+v after %d records", st, last)
	}
	offsets, marker := readAll(t, s, 0, eventstore.Limit{})
	expectRun(t, offsets, st.Dropped+1, last)
	mustSync(t, s, marker)
	m.Crash()
	s = openOn(t, m, filestore.Config{})
	if p := s.Stats().Pending; p == 0 || p < st.Pending-100 {
		t.Errorf("%d records after the crash, %d before", p, st.Pending)
	}
}

func TestFailingMediumDoesNotFillTheMemory(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Reject, eventstore.DropOldest} {
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{SyncInterval: time.Hour, Overflow: o})
		m.FailSync(errMedium)
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			_, err = s.Append(limited(t), make([]byte, 1<<20))
		}
		if !errors.Is(err, eventstore.ErrFull) || !errors.Is(err, errMedium) || n > 9 {
			t.Errorf("policy %d: after %d MiB: %v", o, n, err)
		}
		m.FailSync(nil)
		mustSync(t, s, nextOffset(s)-1)
	}
}

func TestRecordsThatAreTooOldAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		cfg := filestore.Config{SegmentBytes: 4 << 10, MaxAge: time.Hour}
		s := openOn(t, m, cfg)
		fill(t, s, 500)
		time.Sleep(40 * time.Minute)
		last := fill(t, s, 500)
		time.Sleep(19 * time.Minute)
		if n := s.Stats().Dropped; n != 0 {
			t.Errorf("%d records were dropped after 59 minutes", n)
		}
		time.Sleep(2 * time.Minute)
		st := s.Stats()
		if st.Dropped < 400 || st.Dropped > 500 || st.Pending+st.Dropped != last {
			t.Errorf("%+v after 61 minutes", st)
		}
		offsets, _ := readAll(t, s, 0, eventstore.Limit{})
		expectRun(t, offsets, st.Dropped+1, last)
		mustClose(t, s)

		s = openOn(t, m, cfg)
		time.Sleep(2 * time.Hour)
		if st := s.Stats(); st.Pending != 0 {
			t.Errorf("%+v two hours later", st)
		}
		if off, err := s.Append(t.Context(), nil); err != nil || off != last+2 {
			t.Errorf("Append: %d, %v; want offset %d", off, err, last+2)
		}
		time.Sleep(time.Minute)
		ops := m.Operations()
		time.Sleep(59*time.Minute + 2*time.Second)
		if s.Stats().Pending != 0 {
			t.Error("the last record was not dropped")
		}
		ops2 := m.Operations()
		time.Sleep(24 * time.Hour)
		if n := m.Operations(); n != ops2 || ops2-ops > 10 {
			t.Errorf("%d operations for one drop, %d without any", ops2-ops, n-ops2)
		}
	})
}
