package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

func offsetsConsecutive(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	if last := fill(t, s, 1000, record); last != 1000 {
		t.Fatalf("the offset of record 1000 is %d", last)
	}
}

func inOrder(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 1000, record)
	expect(t, read(t, s, 0, 1000, eventstore.Limit{Records: 7}), 1, 1000, record)
	expect(t, read(t, s, 0, 1000, eventstore.Limit{}), 1, 1000, record)
}

func anySize(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	sizes := []int{0, 1, 100, 70_000, 0, 300_000, 1}
	rec := func(i uint64) []byte { return bytes.Repeat([]byte{byte(i)}, sizes[i-1]) }
	fill(t, s, len(sizes), rec)
	expect(t, read(t, s, 0, uint64(len(sizes)), eventstore.Limit{}), 1, len(sizes), rec)
	mustSync(t, s, uint64(len(sizes)))
}

func appendDoesNotRetain(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	buf := make([]byte, 0, 200)
	for i := range uint64(100) {
		buf = append(buf[:0], record(i+1)...)
		if _, err := s.Append(limited(t), buf); err != nil {
			t.Fatal(err)
		}
	}
	clear(buf[:cap(buf)])
	expect(t, read(t, s, 0, 100, eventstore.Limit{}), 1, 100, record)
}

func concurrentAppends(t *testing.T, _ Harness, open opener) {
	const writers, each = 8, 200
	s := fresh(t, open)
	ctx := limited(t)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var last uint64
			for i := range each {
				off, err := s.Append(ctx, []byte{byte(w), byte(i)})
				if err == nil && off <= last {
					t.Errorf("the offset %d follows %d", off, last)
				}
				last = off
				if err == nil && i%16 == 0 {
					err = s.Sync(ctx, off)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	var next [writers]int
	for i, r := range read(t, s, 0, writers*each, eventstore.Limit{Records: 50}) {
		if r.Offset != uint64(i+1) {
			t.Fatalf("record %d has the offset %d", i+1, r.Offset)
		}
		if w := r.Data[0]; int(r.Data[1]) != next[w] {
			t.Fatalf("writer %d: record %d comes where %d should", w, r.Data[1], next[w])
		}
		next[r.Data[0]]++
	}
	wg.Wait()
}

func peekLeaves(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 10, record)
	for range 3 {
		expect(t, read(t, s, 0, 10, eventstore.Limit{}), 1, 10, record)
	}
}

func peekAppends(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 2, record)
	recs := []eventstore.Record{{Offset: 77}}
	recs, err := s.Peek(limited(t), 1, recs, eventstore.Limit{})
	if err != nil || len(recs) != 2 || recs[0].Offset != 77 {
		t.Fatalf("Peek: %v, %v", recs, err)
	}
	expect(t, recs[1:], 2, 1, record)
}

func peekReadsAhead(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 20, record)
	mustAck(t, s, 3)
	for _, after := range []uint64{0, 3, 10, 19, 5} {
		first := max(after, 3) + 1
		expect(t, read(t, s, after, 20, eventstore.Limit{}), first, int(21-first), record)
	}
	nothingAfter(t, s, 20)
}

func peekBlocks(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	for i := range uint64(20) {
		wait := during(t, func() error {
			recs, err := s.Peek(limited(t), i, nil, eventstore.Limit{})
			if err == nil && (len(recs) != 1 || recs[0].Offset != i+1) {
				return errors.New("it returned other records")
			}
			return err
		})
		if i%4 == 0 {
			time.Sleep(instant / 10) // usually it blocks by now
		}
		if _, err := s.Append(limited(t), record(i+1)); err != nil {
			t.Fatal(err)
		}
		if err := wait(); err != nil {
			t.Fatalf("Peek after %d: %v", i, err)
		}
	}
}

func peekEnds(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	nothingAfter(t, s, 0)
	fill(t, s, 1, record)
	nothingAfter(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	wait := during(t, func() error {
		_, err := s.Peek(ctx, 1, nil, eventstore.Limit{})
		return err
	})
	cancel()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Peek: %v, want context.Canceled", err)
	}
	expect(t, read(t, s, 0, 1, eventstore.Limit{}), 1, 1, record)
}

func peekLimitRecords(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 10, record)
	recs, err := s.Peek(limited(t), 2, nil, eventstore.Limit{Records: 3})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, recs, 3, 3, record)
}

func peekLimitBytes(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 10, hundred)
	for limit, want := range map[int]int{1: 1, 100: 1, 199: 1, 250: 2, 300: 3} {
		recs, err := s.Peek(limited(t), 0, nil, eventstore.Limit{Bytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, recs, 1, want, hundred)
	}
}

func ackCumulative(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 10, record)
	mustAck(t, s, 6)
	expect(t, read(t, s, 0, 10, eventstore.Limit{}), 7, 4, record)
	if n := s.Stats().Pending; n != 4 {
		t.Fatalf("%d records are pending, want 4", n)
	}
}

func ackOld(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	mustAck(t, s, 0)
	fill(t, s, 10, record)
	mustAck(t, s, 6)
	mustAck(t, s, 6)
	mustAck(t, s, 2)
	mustAck(t, s, 0)
	expect(t, read(t, s, 0, 10, eventstore.Limit{}), 7, 4, record)
}

func ackReleases(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	last := fill(t, s, 10, record)
	mustAck(t, s, last)
	nothingAfter(t, s, 0)
	if st := s.Stats(); st.Pending != 0 || st.Bytes != 0 {
		t.Fatalf("%+v after all was acknowledged", st)
	}
	if next := fill(t, s, 1, func(uint64) []byte { return record(11) }); next != last+1 {
		t.Fatalf("the offset %d follows %d", next, last)
	}
	expect(t, read(t, s, 0, 11, eventstore.Limit{}), 11, 1, record)
}

func dataStaysValid(t *testing.T, _ Harness, open opener) {
	const rounds, each = 20, 400
	s := fresh(t, open)
	var held []eventstore.Record
	acked := 0
	for r := range rounds {
		last := fill(t, s, each, func(i uint64) []byte { return hundred(i) })
		held = append(held, read(t, s, last-each, last, eventstore.Limit{})...)
		if r%3 == 2 { // keep one round and a half
			upTo := acked + each*3/2
			mustAck(t, s, uint64(upTo))
			held = held[upTo-acked:]
			acked = upTo
		}
		if r%7 == 6 {
			mustSync(t, s, last)
		}
		expect(t, held, uint64(acked+1), len(held), hundred)
	}
}

func syncReturns(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	mustSync(t, s, 0)
	last := fill(t, s, 10, record)
	mustSync(t, s, last)
	mustSync(t, s, last)
	mustSync(t, s, 1)
	mustAck(t, s, last)
	mustSync(t, s, last)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Sync(ended, last); err != nil {
		t.Fatalf("Sync of what is durable: %v", err)
	}
}

func concurrentSyncs(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	ctx := limited(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				off, err := s.Append(ctx, []byte("x"))
				if err == nil {
					err = s.Sync(ctx, off)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		t.Fatal("a Sync returned only because its context ended")
	}
	if st := s.Stats(); st.Appended != 640 || st.Syncs > 640 {
		t.Fatalf("%+v after 640 appends", st)
	}
}
