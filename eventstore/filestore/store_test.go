package filestore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

const patience = 20 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// payload is the record of an offset: 40 bytes or so that only it has.
func payload(offset uint64) []byte { return fmt.Appendf(nil, "%020d the record %020d", offset, offset) }

func limited(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func open(tb testing.TB, cfg filestore.Config) *filestore.Store {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	s, err := filestore.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func mustClose(tb testing.TB, s *filestore.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatalf("Close: %v", err)
	}
}

// fill appends n payloads and returns the last offset.
func fill(tb testing.TB, s *filestore.Store, n int) (last uint64) {
	tb.Helper()
	ctx := limited(tb)
	next := nextOffset(s)
	for range n {
		off, err := s.Append(ctx, payload(next))
		if err != nil || off != next {
			tb.Fatalf("Append: %d, %v; want offset %d", off, err, next)
		}
		next++
	}
	return next - 1
}

// nextOffset works for a store that was empty when it was opened.
func nextOffset(s *filestore.Store) uint64 { return s.Stats().Appended + 1 }

func mustSync(tb testing.TB, s *filestore.Store, upTo uint64) {
	tb.Helper()
	ctx := limited(tb)
	if err := s.Sync(ctx, upTo); err != nil || ctx.Err() != nil {
		tb.Fatalf("Sync(%d): %v, %v", upTo, err, ctx.Err())
	}
}

// readAll appends a marker, and returns the offsets of all records that are
// read before it, and the offset of the marker. Records that are not what
// payload says fail the test.
func readAll(tb testing.TB, s *filestore.Store, after uint64, lim eventstore.Limit) (offsets []uint64, marker uint64) {
	tb.Helper()
	ctx := limited(tb)
	marker, err := s.Append(ctx, []byte("marker"))
	if err != nil {
		tb.Fatalf("Append: %v", err)
	}
	for {
		recs, err := s.Peek(ctx, after, nil, lim)
		if err != nil || len(recs) == 0 {
			tb.Fatalf("Peek after %d: %d records, %v", after, len(recs), err)
		}
		for _, r := range recs {
			if r.Offset <= after {
				tb.Fatalf("the record %d comes after %d", r.Offset, after)
			}
			after = r.Offset
			if r.Offset == marker {
				return offsets, marker
			}
			if !bytes.Equal(r.Data, payload(r.Offset)) {
				tb.Fatalf("the record %d is %.60q", r.Offset, r.Data)
			}
			offsets = append(offsets, r.Offset)
		}
	}
}

// expectRun checks that offsets are those from first to last.
func expectRun(tb testing.TB, offsets []uint64, first, last uint64) {
	tb.Helper()
	if len(offsets) != int(last+1-first) || len(offsets) > 0 && (offsets[0] != first || offsets[len(offsets)-1] != last) {
		tb.Fatalf("the offsets are %v, want %d to %d", brief(offsets), first, last)
	}
}

func brief(offsets []uint64) string {
	if len(offsets) <= 12 {
		return fmt.Sprint(offsets)
	}
	return fmt.Sprint(offsets[:6], "...", offsets[len(offsets)-6:], " (", len(offsets), ")")
}

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
