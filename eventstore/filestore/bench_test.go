package filestore_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

func appendSome(tb testing.TB, s *filestore.Store, rec []byte, n int) (last uint64) {
	tb.Helper()
	ctx := tb.Context()
	for range n {
		off, err := s.Append(ctx, rec)
		if err != nil {
			tb.Fatal(err)
		}
		last = off
	}
	return last
}

// cycle appends n records, and takes them out again when they are durable.
func cycle(tb testing.TB, s *filestore.Store, rec []byte, n int, recs []eventstore.Record) []eventstore.Record {
	tb.Helper()
	ctx := tb.Context()
	last := appendSome(tb, s, rec, n)
	recs = recs[:0]
	for after := last - uint64(n); after < last; after = recs[len(recs)-1].Offset {
		var err error
		if recs, err = s.Peek(ctx, after, recs, eventstore.Limit{}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Sync(ctx, last); err != nil {
		tb.Fatal(err)
	}
	if err := s.Ack(ctx, last); err != nil {
		tb.Fatal(err)
	}
	return recs
}

func TestSteadyStateDoesNotAllocatePerRecord(t *testing.T) {
	s := open(t, filestore.Config{Dir: t.TempDir(), SyncInterval: time.Hour})
	rec := bytes.Repeat([]byte("x"), 200)
	var recs []eventstore.Record
	const n = 2000
	for range 20 {
		recs = cycle(t, s, rec, n, recs)
	}
	perCycle := testing.AllocsPerRun(50, func() { recs = cycle(t, s, rec, n, recs) })
	if perCycle > 40 { // a sync, and now and then a segment
		t.Errorf("%v allocations for %d records and one sync", perCycle, n)
	}
	if n := testing.AllocsPerRun(200, func() { appendSome(t, s, rec, 1) }); n > 0 {
		t.Errorf("%v allocations for one Append", n)
	}
}

func TestGroupCommitIsWorthIt(t *testing.T) {
	s := open(t, filestore.Config{Dir: t.TempDir()})
	for range 64 {
		last := appendSome(t, s, []byte("x"), 1)
		mustSync(t, s, last)
	}
	before := s.Stats()
	durably(t, s, 64, 6400)
	after := s.Stats()
	if syncs := after.Syncs - before.Syncs; syncs > 6400/8 {
		t.Errorf("%d syncs for 6400 records of 64 waiters", syncs)
	}
}

// durably appends n records from several goroutines that wait for each.
func durably(tb testing.TB, s *filestore.Store, waiters, n int) {
	tb.Helper()
	ctx := tb.Context()
	rec := bytes.Repeat([]byte("x"), 200)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				off, err := s.Append(ctx, rec)
				if err == nil {
					err = s.Sync(ctx, off)
				}
				if err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchStore(b *testing.B) *filestore.Store {
	b.Helper()
	s := open(b, filestore.Config{Dir: b.TempDir(), Overflow: eventstore.DropOldest})
	b.ReportAllocs()
	b.ResetTimer()
	return s
}

func BenchmarkAppend(b *testing.B) {
	ctx, rec := b.Context(), bytes.Repeat([]byte("x"), 200)
	s := benchStore(b)
	for i := range b.N {
		off, err := s.Append(ctx, rec)
		if err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 { // a reader that keeps up
			if err := s.Ack(ctx, off-500); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDurableAppend(b *testing.B) {
	s := benchStore(b)
	durably(b, s, 1, b.N)
	b.ReportMetric(float64(s.Stats().Syncs)/float64(b.N), "syncs/op")
}

func BenchmarkDurableAppend128(b *testing.B) {
	s := benchStore(b)
	durably(b, s, 128, b.N)
	b.ReportMetric(float64(s.Stats().Syncs)/float64(b.N), "syncs/op")
}

func BenchmarkPeekFresh(b *testing.B) {
	ctx, rec := b.Context(), bytes.Repeat([]byte("x"), 200)
	s := benchStore(b)
	var recs []eventstore.Record
	for left := b.N; left > 0; left -= 100 {
		b.StopTimer()
		last := appendSome(b, s, rec, 100)
		b.StartTimer()
		var err error
		if recs, err = s.Peek(ctx, last-100, recs[:0], eventstore.Limit{}); err != nil {
			b.Fatal(err)
		}
		if err := s.Ack(ctx, last); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeekFromFile(b *testing.B) {
	const n = 200_000 // 42 MB
	ctx, rec := b.Context(), bytes.Repeat([]byte("x"), 200)
	s := open(b, filestore.Config{Dir: b.TempDir()})
	if err := s.Sync(ctx, appendSome(b, s, rec, n)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(200)
	b.ResetTimer()
	var recs []eventstore.Record
	after := uint64(0)
	for read := 0; read < b.N; read += len(recs) {
		var err error
		if recs, err = s.Peek(ctx, after, recs[:0], eventstore.Limit{Records: 100}); err != nil {
			b.Fatal(err)
		}
		after = recs[len(recs)-1].Offset
		if after > n/2 {
			after = 0
		}
	}
}
