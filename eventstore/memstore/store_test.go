package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func opener(cfg memstore.Config) func(*testing.T, string) eventstore.EventStore {
	return func(*testing.T, string) eventstore.EventStore { return memstore.New(cfg) }
}

func TestConformance(t *testing.T) {
	for name, full := range map[string]memstore.Config{
		"BoundedInRecords": {MaxRecords: 50},
		"BoundedInBytes":   {MaxBytes: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			block, drop, reject := full, full, full
			drop.Overflow, reject.Overflow = eventstore.DropOldest, eventstore.Reject
			storetest.Run(t, storetest.Harness{
				Open:           opener(memstore.Config{}),
				OpenFull:       opener(block),
				OpenDropOldest: opener(drop),
				OpenReject:     opener(reject),
			})
		})
	}
}

func TestRecordThatCanNeverFitIsRefused(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Block, eventstore.DropOldest, eventstore.Reject} {
		s := memstore.New(memstore.Config{MaxBytes: 100, Overflow: o})
		if _, err := s.Append(t.Context(), make([]byte, 60)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), make([]byte, 101)); !errors.Is(err, eventstore.ErrTooLarge) {
			t.Errorf("policy %d: %v, want ErrTooLarge", o, err)
		}
		if st := s.Stats(); st.Pending != 1 || st.Dropped != 0 {
			t.Errorf("policy %d: %+v: the record cost others their place", o, st)
		}
	}
}

// cycle appends n records and takes them out again.
func cycle(tb testing.TB, s eventstore.EventStore, rec []byte, n int, recs []eventstore.Record) []eventstore.Record {
	tb.Helper()
	ctx := context.Background()
	var last uint64
	for range n {
		off, err := s.Append(ctx, rec)
		if err != nil {
			tb.Fatal(err)
		}
		last = off
	}
	recs, err := s.Peek(ctx, last-uint64(n), recs[:0], eventstore.Limit{})
	if err != nil || len(recs) != n {
		tb.Fatalf("Peek: %d records, %v", len(recs), err)
	}
	if err := s.Ack(ctx, last); err != nil {
		tb.Fatal(err)
	}
	return recs
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	s := memstore.New(memstore.Config{})
	rec := bytes.Repeat([]byte("x"), 200)
	var recs []eventstore.Record
	for range 20 {
		recs = cycle(t, s, rec, 1000, recs)
	}
	if n := testing.AllocsPerRun(20, func() { recs = cycle(t, s, rec, 1000, recs) }); n > 0 {
		t.Errorf("%v allocations for 1000 records", n)
	}
}

func BenchmarkAppendPeekAck(b *testing.B) {
	s := memstore.New(memstore.Config{})
	rec := bytes.Repeat([]byte("x"), 200)
	var recs []eventstore.Record
	b.ReportAllocs()
	b.SetBytes(200)
	for range b.N/100 + 1 {
		recs = cycle(b, s, rec, 100, recs)
	}
}
