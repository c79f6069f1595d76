package tbclient

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRatesAreReadAsThePlatformWritesThem(t *testing.T) {
	for text, want := range map[string][]rate{
		"":                nil,
		"0:0":             nil,
		"10:1":            {{10, time.Second}},
		"10:1,300:60":     {{10, time.Second}, {300, time.Minute}},
		" 10 : 1 ; 5:2 ,": {{10, time.Second}, {5, 2 * time.Second}},
	} {
		got, err := parseRates(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"bad", "10", "10:", ":1", "-1:1", "1:-1", "5:0", "1:1:1", "99999999999:1"} {
		got, err := parseRates(text + ",7:1")
		require.ErrorContains(t, err, fmt.Sprintf("%q", text))
		require.Equal(t, []rate{{7, time.Second}}, got, "the others apply")
	}
	require.ErrorContains(t, CheckRates("1:1,x"), `rate limit "x"`)
	require.NoError(t, CheckRates("1:1,2:2"))
}

func TestALimiterNeverAllowsMoreThanItsRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		l.set([]rate{{10, time.Second}, {60, time.Minute}})
		s := &fakeSession{done: make(chan struct{})}
		var taken []time.Time
		began := time.Now()
		for range 150 {
			require.NoError(t, l.acquire(t.Context(), s, 1))
			taken = append(taken, time.Now())
		}
		for i := range taken {
			in := func(d time.Duration) (n int) {
				for _, at := range taken[i:] {
					if at.Sub(taken[i]) < d {
						n++
					}
				}
				return n
			}
			require.LessOrEqual(t, in(time.Second), 16, "four fifths of 10 at once and as many in the second")
			require.LessOrEqual(t, in(time.Minute), 96)
		}
		require.InDelta(t, (150-48)*60/48.0, time.Since(began).Seconds(), 1, "no slower than the rates ask for")
	})
}

func TestALimiterLetsMoreThanItsCapacityPassWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		l.set([]rate{{1, time.Second}})
		require.Equal(t, 1, l.capacity(), "four fifths of one are not nothing")
		s := &fakeSession{done: make(chan struct{})}
		require.NoError(t, l.acquire(t.Context(), s, 5))
		began := time.Now()
		require.NoError(t, l.acquire(t.Context(), s, 1))
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.1, "the debt is paid")
	})
}

func TestALimiterStopsWaitingWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		l.set([]rate{{1, time.Hour}})
		s := &fakeSession{done: make(chan struct{})}
		require.NoError(t, l.acquire(t.Context(), s, 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.acquire(ctx, s, 1), context.DeadlineExceeded)
		time.AfterFunc(time.Second, func() { s.Fail(errLinkEnded) })
		require.ErrorIs(t, l.acquire(t.Context(), s, 1), errLinkEnded)
	})
}

// A platform that tells the same limits on each connection does not thereby
// allow more.
func TestWhatWasTakenStaysTakenWhenTheLimitsAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		l.set([]rate{{100, time.Minute}, {10, time.Second}})
		require.Zero(t, l.try(8))
		l.set([]rate{{10, time.Second}, {50, time.Minute}})
		require.NotZero(t, l.try(1))
		time.Sleep(time.Second)
		require.Zero(t, l.try(8))
		l.drain()
		require.NotZero(t, l.try(1))
		l.set(nil)
		require.Zero(t, l.try(1_000_000))
		require.Zero(t, l.capacity())
	})
}

func TestPayloadsKeepToTheBoundsBesidesBytes(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		e := newEncoder()
		e.protobuf = protobuf
		groups := poll() // 100 devices of 10 points
		groups[0].Attributes = append(groups[0].Attributes, at("a", 0, 1), at("b", 0, 1))
		groups[1].Attributes = append(groups[1].Attributes, at("a", 0, 1))
		points, attributes := 0, 0
		for _, p := range e.encode(groups, bounds{bytes: 60_000, points: 15, devices: 3, described: 1}) {
			if p.attributes {
				attributes += p.points
				require.Equal(t, 1, p.devices)
				continue
			}
			require.LessOrEqual(t, p.points, 15)
			require.LessOrEqual(t, p.devices, 3)
			points += p.points
		}
		require.Equal(t, 1000, points)
		require.Equal(t, 3, attributes)
	}
}

func FuzzParseRates(f *testing.F) {
	f.Add("10:1,300:60")
	f.Add(";;0:0,-1:5")
	f.Fuzz(func(t *testing.T, s string) {
		rates, err := parseRates(s)
		var l limiter
		l.set(rates)
		if l.try(1) != 0 {
			t.Fatalf("%q: a fresh limiter has no token", s)
		}
		if err == nil && strings.Contains(s, "x") {
			t.Fatalf("%q was taken", s)
		}
	})
}
