package poll_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/poll"
)

// A medium is a connection that fails on demand.
type medium struct {
	down   atomic.Bool
	opened int
	closed int
	tried  []time.Time
}

func (m *medium) config() poll.Config {
	return poll.Config{
		Open: func(context.Context) error {
			m.tried = append(m.tried, time.Now())
			if m.down.Load() {
				return errors.New("refused")
			}
			m.opened++
			return nil
		},
		Close: func() { m.closed++ },
	}
}

func TestAnUnreachableMediumIsTriedAfterGrowingDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &medium{}
		w.down.Store(true)
		m := &meter{}
		b := run(t, w.config(), m.device("a", 100*time.Millisecond))
		pass(10 * time.Minute)
		require.InDelta(t, 16, len(w.tried), 3)
		require.Empty(t, m.polls)
		require.Equal(t, []bool{false}, m.states)

		err := b.lane.Do(t.Context(), func(context.Context) error { return nil })
		require.ErrorContains(t, err, "refused")

		w.down.Store(false)
		pass(73 * time.Second)
		require.NotEmpty(t, m.polls)
		require.Equal(t, []bool{false, true}, m.states)
		b.stop()
		require.Equal(t, w.opened, w.closed)
	})
}

func TestALostConnectionIsReopenedAtOnceAndThePollRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &medium{}
		calls := 0
		d := poll.Device{Name: "a", Jobs: []poll.Job{{Interval: time.Second, Poll: func(context.Context, *poll.Turn) error {
			calls++
			if calls == 3 {
				return poll.Down(errors.New("reset by peer"))
			}
			return nil
		}}}}
		b := run(t, w.config(), d)
		pass(4500 * time.Millisecond)
		b.stop()
		require.Equal(t, 2, w.opened)
		require.Equal(t, 6, calls, "five cycles and one repetition")
		require.Zero(t, b.lane.Stats().Suspended)
	})
}

func TestAMediumThatBreaksAtOnceDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &medium{}
		d := poll.Device{Name: "a", Jobs: []poll.Job{{Interval: time.Second, Poll: func(context.Context, *poll.Turn) error {
			return poll.Down(errors.New("reset by peer"))
		}}}}
		b := run(t, w.config(), d)
		pass(time.Minute)
		b.stop()
		require.LessOrEqual(t, len(w.tried), 10)
	})
}
