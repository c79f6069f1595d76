package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A Harness tells Run how to handle the store under test. Open is required; a
// nil field skips the tests that need it.
type Harness struct {
	// Open opens the store in dir, which is empty or was used by an earlier
	// Open of the same test.
	Open func(t *testing.T, dir string) eventstore.EventStore

	// Durable says that records survive Close and a new Open.
	Durable bool

	// Crash abandons the store so that all that was not synced is lost. Open
	// is called again afterwards.
	Crash func(t *testing.T, s eventstore.EventStore)

	// OpenFull opens a store that blocks when full, with room for at least
	// one and at most 100 records of 100 bytes.
	OpenFull func(t *testing.T, dir string) eventstore.EventStore

	// OpenDropOldest and OpenReject are like OpenFull, for stores with these
	// policies.
	OpenDropOldest func(t *testing.T, dir string) eventstore.EventStore
	OpenReject     func(t *testing.T, dir string) eventstore.EventStore
}

// Run runs the conformance tests as subtests of t. The name of each is the rule
// that it checks.
func Run(t *testing.T, h Harness) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if open := r.open(h); open != nil {
				r.check(t, h, open)
				return
			}
			t.Skip("the harness has no way to open such a store")
		})
	}
}

type opener = func(t *testing.T, dir string) eventstore.EventStore

// A rule is one sentence of the contract.
type rule struct {
	name  string
	open  func(Harness) opener // nil result: does not apply
	check func(t *testing.T, h Harness, open opener)
}

func rules() []rule {
	always := func(h Harness) opener { return h.Open }
	durable := func(h Harness) opener {
		if h.Durable {
			return h.Open
		}
		return nil
	}
	crash := func(h Harness) opener {
		if h.Crash != nil {
			return h.Open
		}
		return nil
	}
	full := func(h Harness) opener { return h.OpenFull }
	drop := func(h Harness) opener { return h.OpenDropOldest }
	reject := func(h Harness) opener { return h.OpenReject }
	return []rule{
		{"OffsetsStartAtOneAndAreConsecutive", always, offsetsConsecutive},
		{"RecordsComeInOrderAsTheyWereAppended", always, inOrder},
		{"EmptyAndLargeRecordsAreRecords", always, anySize},
		{"AppendDoesNotRetainTheRecord", always, appendDoesNotRetain},
		{"ConcurrentAppendsLoseNothing", always, concurrentAppends},
		{"PeekLeavesTheRecords", always, peekLeaves},
		{"PeekAppendsToItsArgument", always, peekAppends},
		{"PeekReadsAheadOfAcknowledgements", always, peekReadsAhead},
		{"PeekBlocksUntilAppend", always, peekBlocks},
		{"PeekEndsWithItsContext", always, peekEnds},
		{"PeekKeepsTheLimitOfRecords", always, peekLimitRecords},
		{"PeekKeepsTheLimitOfBytesButReturnsOne", always, peekLimitBytes},
		{"AckIsCumulative", always, ackCumulative},
		{"AckOfNothingNewDoesNothing", always, ackOld},
		{"AckReleases", always, ackReleases},
		{"DataStaysValidUntilAcknowledged", always, dataStaysValid},
		{"SyncOfWhatIsDurableReturnsAtOnce", always, syncReturns},
		{"ConcurrentSyncsAllReturn", always, concurrentSyncs},
		{"OffsetsBeyondTheLastMeanAll", always, beyondTheLast},
		{"ReadersAndWritersTogetherLoseNothing", always, togetherLoseNothing},
		{"RandomOperationsDoWhatTheModelDoes", always, randomOperations},
		{"StatsAddUp", always, statsAddUp},
		{"CloseUnblocksPeek", always, closeUnblocksPeek},
		{"CloseDuringEverythingIsOrderly", always, closeDuringEverything},
		{"EverythingFailsAfterClose", always, failsAfterClose},
		{"FullStoreBlocksUntilAck", full, fullBlocks},
		{"FullStoreHonoursTheContext", full, fullHonoursContext},
		{"CloseUnblocksAppend", full, closeUnblocksAppend},
		{"FullStoreLosesNothing", full, fullLosesNothing},
		{"DropOldestKeepsTheNewestAndCounts", drop, dropsOldest},
		{"DroppedDataStaysValidUntilAcknowledged", drop, droppedStaysValid},
		{"RejectFailsWithErrFullUntilAck", reject, rejects},
		{"RecordsSurviveClose", durable, surviveClose},
		{"AcknowledgementsSurviveClose", durable, acksSurviveClose},
		{"OffsetsGoOnAfterReopening", durable, offsetsGoOn},
		{"SyncedRecordsSurviveACrash", crash, surviveCrash},
		{"ACrashUndoesAcknowledgementsOnly", crash, crashUndoesAcks},
		{"RandomOperationsAndCrashesKeepTheContract", crash, randomCrashes},
	}
}

// patience is how long a test waits for what should happen, and instant how
// long for what should not.
const (
	patience = 20 * time.Second
	instant  = 20 * time.Millisecond
)

func record(i uint64) []byte { return fmt.Appendf(nil, "record %d %0*d", i, i%90, 0) }

func hundred(i uint64) []byte { return fmt.Appendf(nil, "%0100d", i) }

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func closeAtEnd(t *testing.T, s eventstore.EventStore) eventstore.EventStore {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func fresh(t *testing.T, open opener) eventstore.EventStore {
	t.Helper()
	return closeAtEnd(t, open(t, t.TempDir()))
}

// fill appends n records and returns the offset of the last one.
func fill(t *testing.T, s eventstore.EventStore, n int, rec func(uint64) []byte) (last uint64) {
	t.Helper()
	ctx := limited(t)
	for range n {
		want := last + 1
		if last == 0 {
			want = s.Stats().Appended + 1
		}
		off, err := s.Append(ctx, rec(want))
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		if last > 0 && off != want {
			t.Fatalf("Append returned the offset %d after %d", off, last)
		}
		last = off
	}
	return last
}

func mustSync(t *testing.T, s eventstore.EventStore, upTo uint64) {
	t.Helper()
	ctx := limited(t)
	if err := errors.Join(s.Sync(ctx, upTo), ctx.Err()); err != nil {
		t.Fatalf("Sync(%d): %v", upTo, err)
	}
}

func mustAck(t *testing.T, s eventstore.EventStore, upTo uint64) {
	t.Helper()
	if err := s.Ack(limited(t), upTo); err != nil {
		t.Fatalf("Ack(%d): %v", upTo, err)
	}
}

// read peeks from after on until it has read the record of offset last.
func read(t *testing.T, s eventstore.EventStore, after, last uint64, lim eventstore.Limit) []eventstore.Record {
	t.Helper()
	var recs []eventstore.Record
	for after < last {
		n := len(recs)
		var err error
		recs, err = s.Peek(limited(t), after, recs, lim)
		if err != nil {
			t.Fatalf("Peek after %d: %v", after, err)
		}
		if len(recs) == n {
			t.Fatalf("Peek after %d returned nothing", after)
		}
		after = recs[len(recs)-1].Offset
	}
	return recs
}

// expect checks that recs are the records of consecutive offsets from first.
func expect(t *testing.T, recs []eventstore.Record, first uint64, n int, rec func(uint64) []byte) {
	t.Helper()
	if len(recs) != n {
		t.Fatalf("%d records, want %d", len(recs), n)
	}
	for i, r := range recs {
		want := first + uint64(i)
		if r.Offset != want {
			t.Fatalf("record %d has the offset %d, want %d", i, r.Offset, want)
		}
		if !bytes.Equal(r.Data, rec(want)) {
			t.Fatalf("the record of offset %d is %.40q, want %.40q", want, r.Data, rec(want))
		}
	}
}

// nothingAfter checks that there is no record after an offset.
func nothingAfter(t *testing.T, s eventstore.EventStore, after uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), instant)
	defer cancel()
	recs, err := s.Peek(ctx, after, nil, eventstore.Limit{})
	if len(recs) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Peek after %d: %d records, %v; want to wait", after, len(recs), err)
	}
}

// during runs f, and returns a function that waits for its error.
func during(t *testing.T, f func() error) (wait func() error) {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- f() }()
	return func() error {
		t.Helper()
		select {
		case err := <-result:
			return err
		case <-time.After(patience):
			t.Fatal("the call did not return")
			return nil
		}
	}
}
