package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
)

func statsAddUp(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	last := fill(t, s, 40, hundred)
	st := s.Stats()
	if st.Pending != 40 || st.Bytes != 4000 || st.Appended != 40 || st.Dropped != 0 {
		t.Fatalf("%+v after 40 records of 100 bytes", st)
	}
	mustAck(t, s, 10)
	st = s.Stats()
	if st.Pending != 30 || st.Bytes != 3000 || st.Appended != 40 {
		t.Fatalf("%+v after 10 of 40 were acknowledged", st)
	}
	mustAck(t, s, last)
	if st = s.Stats(); st.Pending != 0 || st.Bytes != 0 {
		t.Fatalf("%+v after all were acknowledged", st)
	}
}

func closeUnblocksPeek(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	wait := during(t, func() error {
		_, err := s.Peek(limited(t), 0, nil, eventstore.Limit{})
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("Peek: %v, want ErrClosed", err)
	}
}

func failsAfterClose(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 3, record)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, appendErr := s.Append(limited(t), record(4))
	_, peekErr := s.Peek(limited(t), 0, nil, eventstore.Limit{})
	for name, err := range map[string]error{
		"Append": appendErr,
		"Peek":   peekErr,
		"Sync":   s.Sync(limited(t), 3),
		"Ack":    s.Ack(limited(t), 3),
		"Close":  s.Close(),
	} {
		if !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

// fillUp appends until the store is full, and returns the last offset.
func fillUp(t *testing.T, s eventstore.EventStore) (last uint64) {
	t.Helper()
	for range 101 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*instant)
		off, err := s.Append(ctx, hundred(last+1))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventstore.ErrFull) {
			return last
		}
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		last = off
	}
	t.Fatal("the store has room for more than 100 records")
	return 0
}

func fullBlocks(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	last := fillUp(t, s)
	if last == 0 {
		t.Fatal("the store has no room for one record")
	}
	wait := during(t, func() error {
		_, err := s.Append(limited(t), hundred(last+1))
		return err
	})
	expect(t, read(t, s, 0, last, eventstore.Limit{}), 1, int(last), hundred)
	mustAck(t, s, last)
	if err := wait(); err != nil {
		t.Fatalf("Append: %v", err)
	}
	expect(t, read(t, s, last, last+1, eventstore.Limit{}), last+1, 1, hundred)
}

func fullHonoursContext(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	last := fillUp(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	wait := during(t, func() error {
		_, err := s.Append(ctx, hundred(last+1))
		return err
	})
	cancel()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Append: %v, want context.Canceled", err)
	}
	expect(t, read(t, s, 0, last, eventstore.Limit{}), 1, int(last), hundred)
}

func closeUnblocksAppend(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fillUp(t, s)
	wait := during(t, func() error {
		_, err := s.Append(limited(t), hundred(0))
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("Append: %v, want ErrClosed", err)
	}
}

func fullLosesNothing(t *testing.T, _ Harness, open opener) {
	const total = 3000
	s := fresh(t, open)
	ctx := limited(t)
	wait := during(t, func() error {
		for i := range uint64(total) {
			if _, err := s.Append(ctx, hundred(i+1)); err != nil {
				return err
			}
		}
		return nil
	})
	for after := uint64(0); after < total; {
		recs, err := s.Peek(ctx, after, nil, eventstore.Limit{Records: 9})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, recs, after+1, len(recs), hundred)
		after += uint64(len(recs))
		mustAck(t, s, after)
	}
	if err := wait(); err != nil {
		t.Fatalf("Append: %v", err)
	}
	if n := s.Stats().Dropped; n != 0 {
		t.Fatalf("%d records were dropped", n)
	}
}

func dropsOldest(t *testing.T, _ Harness, open opener) {
	const total = 1000
	s := fresh(t, open)
	fill(t, s, total, hundred)
	st := s.Stats()
	if st.Dropped == 0 || st.Pending == 0 || st.Pending+st.Dropped != total {
		t.Fatalf("%+v after %d records", st, total)
	}
	expect(t, read(t, s, 0, total, eventstore.Limit{}), st.Dropped+1, int(st.Pending), hundred)
	mustAck(t, s, total)
	fill(t, s, 1, hundred)
	if now := s.Stats(); now.Dropped != st.Dropped {
		t.Fatalf("%d acknowledged records count as dropped", now.Dropped-st.Dropped)
	}
}

func droppedStaysValid(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	fill(t, s, 1, hundred)
	held := read(t, s, 0, 1, eventstore.Limit{})
	ctx := limited(t)
	for i := range uint64(3000) {
		if _, err := s.Append(ctx, hundred(i+2)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, held, 1, 1, hundred)
}

func rejects(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	last := fillUp(t, s)
	if _, err := s.Append(limited(t), hundred(0)); !errors.Is(err, eventstore.ErrFull) {
		t.Fatalf("Append: %v, want ErrFull", err)
	}
	expect(t, read(t, s, 0, last, eventstore.Limit{}), 1, int(last), hundred)
	mustAck(t, s, last)
	off, err := s.Append(limited(t), hundred(last+1))
	if err != nil || off != last+1 {
		t.Fatalf("Append after Ack: %d, %v", off, err)
	}
}

func reopen(t *testing.T, s eventstore.EventStore, dir string, open opener) eventstore.EventStore {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return closeAtEnd(t, open(t, dir))
}

func surviveClose(t *testing.T, _ Harness, open opener) {
	dir := t.TempDir()
	s := closeAtEnd(t, open(t, dir))
	fill(t, s, 500, record)
	s = reopen(t, s, dir, open)
	expect(t, read(t, s, 0, 500, eventstore.Limit{}), 1, 500, record)
	if st := s.Stats(); st.Pending != 500 || st.Appended != 0 {
		t.Fatalf("%+v after reopening with 500 records", st)
	}
}

func acksSurviveClose(t *testing.T, _ Harness, open opener) {
	dir := t.TempDir()
	s := closeAtEnd(t, open(t, dir))
	fill(t, s, 50, record)
	mustAck(t, s, 20)
	s = reopen(t, s, dir, open)
	expect(t, read(t, s, 0, 50, eventstore.Limit{}), 21, 30, record)
}

func offsetsGoOn(t *testing.T, _ Harness, open opener) {
	dir := t.TempDir()
	s := closeAtEnd(t, open(t, dir))
	last := uint64(0)
	for range 5 {
		for range 300 {
			off, err := s.Append(limited(t), record(last+1))
			if err != nil || off != last+1 {
				t.Fatalf("Append after %d: %d, %v", last, off, err)
			}
			last = off
		}
		mustAck(t, s, last)
		s = reopen(t, s, dir, open)
		nothingAfter(t, s, 0)
	}
}

func surviveCrash(t *testing.T, h Harness, open opener) {
	dir := t.TempDir()
	next := uint64(1)
	for round := range 5 {
		s := closeAtEnd(t, open(t, dir))
		if next > 1 {
			expect(t, read(t, s, 0, next-1, eventstore.Limit{})[:next-1], 1, int(next-1), record)
		}
		for range 100 + round {
			if off, err := s.Append(limited(t), record(next)); err != nil || off != next {
				t.Fatalf("Append: %d, %v, want %d", off, err, next)
			}
			next++
		}
		mustSync(t, s, next-1)
		h.Crash(t, s)
	}
}

func crashUndoesAcks(t *testing.T, h Harness, open opener) {
	dir := t.TempDir()
	s := closeAtEnd(t, open(t, dir))
	fill(t, s, 100, record)
	mustSync(t, s, 100)
	mustAck(t, s, 60)
	h.Crash(t, s)
	s = closeAtEnd(t, open(t, dir))
	recs := read(t, s, 0, 100, eventstore.Limit{})
	if first := recs[0].Offset; first > 61 {
		t.Fatalf("the first record after the crash is %d, but 61 was not acknowledged", first)
	}
	expect(t, recs, recs[0].Offset, int(101-recs[0].Offset), record)
}
