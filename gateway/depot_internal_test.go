package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A slowStore takes its time to append, and does not look at the context.
type slowStore struct {
	eventstore.EventStore
	release chan struct{}
	done    bool
}

func (s *slowStore) Append(context.Context, []byte) (uint64, error) {
	<-s.release
	s.done = true
	return 1, nil
}

// A roomless store has no room until the context is done.
type roomless struct{ eventstore.EventStore }

func (roomless) Append(ctx context.Context, _ []byte) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func newDepot(s eventstore.EventStore) *depot {
	d := new(depot)
	d.stock.Store(newStock(s, false))
	return d
}

// Otherwise the last records of a store would be missing in the next one.
func TestTheGateIsShutWhenTheLastAppendHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{release: make(chan struct{})}
		d := newDepot(s)
		go func() { _, _, _ = d.append(t.Context(), new(interruptible), nil) }()
		synctest.Wait()
		shut := make(chan error)
		go func() { shut <- d.close(t.Context()) }()
		synctest.Wait()
		select {
		case <-shut:
			t.Fatal("an append is under way")
		default:
		}
		close(s.release)
		require.NoError(t, <-shut)
		assert.True(t, s.done)
	})
}

func TestTheGateIsNotWaitedForLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{release: make(chan struct{})}
		d := newDepot(s)
		go func() { _, _, _ = d.append(t.Context(), new(interruptible), nil) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, d.close(ctx), context.DeadlineExceeded)
		d.open(d.current())
		close(s.release)
		synctest.Wait()
		_, offset, err := d.append(t.Context(), new(interruptible), nil)
		require.NoError(t, err)
		assert.EqualValues(t, 1, offset)
	})
}

// Who waits for room comes again when the gate is open, before whatever store is
// there then, and more than once.
func TestWhoWaitsForRoomWaitsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(roomless{})
		ended := make(chan error, 1)
		in := new(interruptible)
		go func() {
			_, _, err := d.append(t.Context(), in, nil)
			ended <- err
		}()
		for range 3 { // the same store is back each time
			synctest.Wait()
			require.NoError(t, d.close(t.Context()))
			d.open(d.current())
		}
		synctest.Wait()
		require.Empty(t, ended)
		require.NoError(t, d.close(t.Context()))
		s := &slowStore{release: make(chan struct{})}
		close(s.release)
		d.open(newStock(s, false))
		require.NoError(t, <-ended)
		_, _, err := d.append(t.Context(), in, nil)
		require.NoError(t, err)
	})
}
