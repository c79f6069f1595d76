package poll_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/poll"
)

var errDead = errors.New("no answer")

// A bench runs a lane in fake time and notes what happens on it.
type bench struct {
	t      *testing.T
	start  time.Time
	lane   *poll.Lane
	cancel context.CancelFunc
	done   chan error
}

func run(t *testing.T, cfg poll.Config, devices ...poll.Device) *bench {
	t.Helper()
	lane, err := poll.NewLane(cfg, devices...)
	require.NoError(t, err)
	b := &bench{t: t, start: time.Now(), lane: lane, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	go func() { b.done <- lane.Run(ctx) }()
	return b
}

func (b *bench) stop() {
	b.t.Helper()
	b.cancel()
	require.ErrorIs(b.t, <-b.done, context.Canceled)
}

// A meter is a device that records when it was polled.
type meter struct {
	polls  []time.Duration // since start
	start  time.Time
	takes  time.Duration
	dead   atomic.Bool
	states []bool
}

func (m *meter) poll(ctx context.Context, _ *poll.Turn) error {
	dead := m.dead.Load()
	m.polls = append(m.polls, time.Since(m.start))
	sleep(ctx, m.takes)
	if dead {
		return errDead
	}
	return nil
}

func (m *meter) device(name string, interval time.Duration) poll.Device {
	m.start = time.Now()
	return poll.Device{
		Name:    name,
		Jobs:    []poll.Job{{Interval: interval, Poll: m.poll}},
		Changed: func(_ context.Context, online bool, _ error) { m.states = append(m.states, online) },
	}
}

// pass lets fake time pass, and waits until everybody rests.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func sleep(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// at lists multiples of step from 0.
func at(step time.Duration, n int) (list []time.Duration) {
	for i := range n {
		list = append(list, time.Duration(i)*step)
	}
	return list
}

func TestAJobKeepsItsGridHoweverLongPollsTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{takes: 300 * time.Millisecond}
		b := run(t, poll.Config{}, m.device("a", time.Second))
		pass(10*time.Second - time.Millisecond)
		b.stop()
		require.Equal(t, at(time.Second, 10), m.polls)
	})
}

func TestDevicesOfOneIntervalAreSpreadAlikeEveryTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first [2][]time.Duration
		for i := range first {
			var devices []poll.Device
			var meters []*meter
			for n := range 8 {
				m := &meter{}
				meters = append(meters, m)
				devices = append(devices, m.device(fmt.Sprint(n), time.Second))
			}
			b := run(t, poll.Config{}, devices...)
			pass(999 * time.Millisecond)
			b.stop()
			for _, m := range meters {
				require.Len(t, m.polls, 1)
				first[i] = append(first[i], m.polls[0])
			}
		}
		require.Equal(t, first[0], first[1])
		for i, x := range first[0] {
			for _, y := range first[0][:i] {
				require.GreaterOrEqual(t, (x - y).Abs(), 50*time.Millisecond, "two of eight devices start together")
			}
		}
	})
}

func TestALatePollRunsOnceAndMissedCyclesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &meter{takes: 3500 * time.Millisecond}
		fast := &meter{}
		b := run(t, poll.Config{Spread: -1}, slow.device("slow", 10*time.Second), fast.device("fast", time.Second))
		pass(9 * time.Second)
		b.stop()
		// The grid points at 1 and 2 s are skipped, the one at 3 s is served late.
		require.Equal(t, []time.Duration{
			3500 * time.Millisecond, 3500 * time.Millisecond, 4 * time.Second, 5 * time.Second,
			6 * time.Second, 7 * time.Second, 8 * time.Second,
		}, fast.polls[:7])
		require.EqualValues(t, 2, b.lane.Stats().Skipped)
	})
}

func TestAnOverloadedLaneServesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := &meter{takes: 900 * time.Millisecond}, &meter{takes: 900 * time.Millisecond}
		b := run(t, poll.Config{Spread: -1}, a.device("a", time.Second), c.device("c", time.Second))
		pass(time.Minute)
		b.stop()
		require.InDelta(t, len(a.polls), len(c.polls), 1)
		require.InDelta(t, 66, len(a.polls)+len(c.polls), 2, "the lane rests although polls are due")
	})
}

func TestACommandRunsAtTheNextRequestBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		long := func(ctx context.Context, turn *poll.Turn) error {
			for i := range 5 {
				if err := turn.Yield(ctx); err != nil {
					return err
				}
				events = append(events, fmt.Sprint("request ", i))
				sleep(ctx, 100*time.Millisecond)
			}
			return nil
		}
		b := run(t, poll.Config{}, poll.Device{Name: "a", Jobs: []poll.Job{{Interval: time.Second, Poll: long}}})
		pass(150 * time.Millisecond)
		began := time.Now()
		require.NoError(t, b.lane.Do(t.Context(), func(context.Context) error {
			events = append(events, "command")
			return nil
		}))
		require.Equal(t, 50*time.Millisecond, time.Since(began))
		pass(500 * time.Millisecond)
		b.stop()
		require.Equal(t, []string{"request 0", "request 1", "command", "request 2", "request 3", "request 4"}, events)
	})
}

func TestCommandsGoBeforePollsThatAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{takes: 2 * time.Second}
		other := &meter{}
		b := run(t, poll.Config{Spread: -1}, m.device("a", time.Minute), other.device("b", time.Second))
		pass(time.Millisecond)
		var ran time.Duration
		for range 3 {
			go func() {
				_ = b.lane.Do(t.Context(), func(context.Context) error {
					require.Empty(t, other.polls)
					ran = time.Since(b.start)
					return nil
				})
			}()
		}
		pass(3 * time.Second)
		b.stop()
		require.Equal(t, 2*time.Second, ran)
		require.NotEmpty(t, other.polls)
		require.EqualValues(t, 3, b.lane.Stats().Commands)
	})
}

func TestADeadDeviceCostsOneTimeoutPerBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &meter{takes: 500 * time.Millisecond}
		dead.dead.Store(true)
		alive := &meter{}
		b := run(t, poll.Config{Spread: -1}, dead.device("dead", time.Second), alive.device("alive", time.Second))
		pass(10*time.Minute + 900*time.Millisecond)
		b.stop()
		require.Equal(t, []bool{false}, dead.states)
		require.Equal(t, []bool{true}, alive.states)
		// Three failures, delays of about 1, 2, 4 ... 60 s, then one each minute.
		require.InDelta(t, 3+6+9, len(dead.polls), 3)
		for i := 9; i < len(dead.polls); i++ {
			require.GreaterOrEqual(t, dead.polls[i]-dead.polls[i-1], 48*time.Second)
		}
		require.Len(t, alive.polls, 601, "the other device lost cycles")
		require.EqualValues(t, 1, b.lane.Stats().Suspended)
	})
}

func TestADeviceThatComesBackReturnsToItsGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{}
		m.dead.Store(true)
		b := run(t, poll.Config{}, m.device("a", time.Second))
		pass(20 * time.Second)
		n := len(m.polls)
		m.dead.Store(false)
		pass(70 * time.Second)
		b.stop()
		require.Equal(t, []bool{false, true}, m.states)
		// The probe, the late poll, and then the grid.
		for _, p := range m.polls[n+2:] {
			require.Zero(t, p%time.Second)
		}
		require.Greater(t, len(m.polls)-n, 20)
	})
}

func TestProbeIsOneRequestInsteadOfTheJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{}
		m.dead.Store(true)
		d := m.device("a", time.Second)
		d.Jobs = append(d.Jobs, poll.Job{Interval: 20 * time.Second, Poll: m.poll})
		probes := 0
		d.Probe = func(context.Context) error { probes++; return errDead }
		b := run(t, poll.Config{}, d)
		pass(time.Minute)
		b.stop()
		require.Len(t, m.polls, poll.DefaultFailures)
		require.GreaterOrEqual(t, probes, 5)
	})
}

func TestNothingRunsWhenNothingIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{}
		b := run(t, poll.Config{}, m.device("a", time.Hour))
		synctest.Wait()
		pass(time.Hour - time.Nanosecond)
		require.Len(t, m.polls, 1)
		require.EqualValues(t, 1, b.lane.Wakeups(), "the lane woke up although nothing was due")
		b.stop()
	})
}

func TestDoEndsWithItsContextWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{takes: 10 * time.Second}
		b := run(t, poll.Config{}, m.device("a", time.Minute))
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ran := false
		err := b.lane.Do(ctx, func(context.Context) error { ran = true; return nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(20 * time.Second)
		require.False(t, ran)
		b.stop()
	})
}

func TestDoIsBoundedAndEndsWithTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{takes: 10 * time.Second}
		b := run(t, poll.Config{Queue: 2}, m.device("a", time.Minute))
		pass(time.Second)
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- b.lane.Do(t.Context(), func(context.Context) error { return nil }) }()
		}
		require.ErrorIs(t, <-errs, poll.ErrBusy)
		b.stop()
		require.ErrorIs(t, <-errs, poll.ErrStopped)
		require.ErrorIs(t, <-errs, poll.ErrStopped)
		require.ErrorIs(t, b.lane.Do(t.Context(), nil), poll.ErrStopped)
	})
}

func TestTheLaneEndsACommandThatIsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, poll.Config{})
		synctest.Wait()
		errs := make(chan error, 1)
		go func() {
			errs <- b.lane.Do(context.Background(), func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		synctest.Wait()
		b.stop()
		require.ErrorIs(t, <-errs, context.Canceled)
	})
}

func TestALaneRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{}
		m.dead.Store(true)
		w := &medium{}
		lane, err := poll.NewLane(w.config(), m.device("a", time.Second))
		require.NoError(t, err)
		for range 2 {
			m.polls, m.states = nil, nil
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			require.ErrorIs(t, lane.Run(ctx), context.DeadlineExceeded)
			cancel()
			require.Len(t, m.polls, 4)
			require.Equal(t, []bool{false}, m.states)
		}
		require.Equal(t, w.opened, w.closed)
	})
}

func TestWrongJobsAreRefused(t *testing.T) {
	_, err := poll.NewLane(poll.Config{}, poll.Device{Name: "x", Jobs: []poll.Job{{}}})
	require.ErrorContains(t, err, `device "x": job 0: interval 0s`)
	_, err = poll.NewLane(poll.Config{}, poll.Device{Name: "x", Jobs: []poll.Job{{Interval: 1}}})
	require.ErrorContains(t, err, "no Poll")
}

func TestPollingDoesNotAllocate(t *testing.T) {
	turns := make(chan struct{})
	d := poll.Device{Name: "a", Jobs: []poll.Job{{Interval: 100 * time.Microsecond, Poll: func(ctx context.Context, turn *poll.Turn) error {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
		}
		return turn.Yield(ctx)
	}}}}
	lane, err := poll.NewLane(poll.Config{}, d)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- lane.Run(ctx) }()
	<-turns
	allocs := testing.AllocsPerRun(100, func() { <-turns })
	cancel()
	<-done
	if !raceDetector { // which allocates by itself
		require.Zero(t, allocs)
	}
}
