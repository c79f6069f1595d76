package logging_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

// bare returns the lines without their time.
func bare(b *buffer) []string {
	var out []string
	for _, l := range b.lines() {
		_, l, _ = strings.Cut(l, " - ")
		out = append(out, l)
	}
	return out
}

func TestRepeatedRecordsAreOneLineAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(buffer)
		c := logging.Collapse(logging.Lines(out), logging.CollapseConfig{})
		log := slog.New(c).With("connector", "meters")
		for i := range 150 { // for two and a half minutes
			log.Error("read failed", "error", errors.New("timeout"), "after", time.Duration(i))
			time.Sleep(1001 * time.Millisecond) // never at the end of a window
		}
		synctest.Wait()
		require.Equal(t, []string{
			`|ERROR| - [meters] - read failed error=timeout after=0s`,
			`|ERROR| - [meters] - read failed error=timeout after=59ns repeated=59`,
			`|ERROR| - [meters] - read failed error=timeout after=119ns repeated=60`,
		}, bare(out))
		require.NoError(t, c.Close())
		require.Equal(t, `|ERROR| - [meters] - read failed error=timeout after=149ns repeated=30`, bare(out)[3])
	})
}

func TestErrorsThatAlternateAreCollapsedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(buffer)
		c := logging.Collapse(logging.Lines(out), logging.CollapseConfig{Window: time.Minute})
		log := slog.New(c)
		for range 20 {
			log.Warn("no answer", "device", "a")
			log.Warn("no answer", "device", "b")
		}
		require.Len(t, out.lines(), 2)
		require.NoError(t, c.Close())
		require.Equal(t, 2, strings.Count(out.String(), "repeated=19"))
	})
}

func TestWhatDiffersIsNotCollapsed(t *testing.T) {
	out := new(buffer)
	log := slog.New(logging.Collapse(logging.Lines(out), logging.CollapseConfig{}))
	log.Warn("x")
	log.Error("x")
	log.Warn("y")
	log.Warn("x", "register", 1)
	log.Warn("x", "register", 2)
	log.With("connector", "a").Warn("x")
	log.With("connector", "b").Warn("x")
	log.WithGroup("g").Warn("x", "register", 1)
	require.Len(t, out.lines(), 8)
}

// Each connection has another local port, and the error is the same.
func TestTheLocalPortOfAnErrorDoesNotCount(t *testing.T) {
	out := new(buffer)
	log := slog.New(logging.Collapse(logging.Lines(out), logging.CollapseConfig{}))
	for port := range 10 {
		log.Warn("lost", "error", fmt.Errorf("read tcp 10.0.0.1:%d->10.0.0.2:502: reset", 40000+port))
	}
	log.Warn("lost", "error", errors.New("read tcp 10.0.0.1:40000->10.0.0.2:503: reset"))
	require.Len(t, out.lines(), 2)
}

func TestRecordsBelowInfoAlwaysPass(t *testing.T) {
	out := new(buffer)
	log := slog.New(logging.Collapse(logging.Lines(out), logging.CollapseConfig{}))
	for range 5 {
		log.Debug("x")
	}
	require.Len(t, out.lines(), 5)
}

func TestARecordThatComesAgainAfterItsWindowPassesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(buffer)
		log := slog.New(logging.Collapse(logging.Lines(out), logging.CollapseConfig{Window: time.Second}))
		for range 5 {
			log.Warn("x")
			time.Sleep(2 * time.Second)
		}
		require.Len(t, out.lines(), 5)
		require.NotContains(t, out.String(), "repeated")
	})
}

// Many different records cost bounded memory: what is not remembered passes.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(buffer)
		c := logging.Collapse(logging.Lines(out), logging.CollapseConfig{Records: 10})
		log := slog.New(c)
		for i := range 20 {
			log.Warn("x", "i", i)
			log.Warn("x", "i", i)
		}
		require.Len(t, out.lines(), 10+2*10)
		time.Sleep(2 * time.Minute) // all windows are over
		synctest.Wait()
		log.Warn("x", "i", 15)
		log.Warn("x", "i", 15)
		require.NoError(t, c.Close())
		require.Equal(t, 1, strings.Count(out.String(), `i=15 repeated=1`))
	})
}

func TestCollapsingLosesNoCountAmongManyWhoLog(t *testing.T) {
	out := new(buffer)
	c := logging.Collapse(logging.Lines(out), logging.CollapseConfig{Window: 2 * time.Millisecond})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			log := slog.New(c)
			for range 500 {
				log.Warn("x")
			}
		})
	}
	wg.Wait()
	require.NoError(t, c.Close())
	n := 0
	for _, l := range out.lines() {
		k := 1
		if _, count, ok := strings.Cut(l, "repeated="); ok {
			_, err := fmt.Sscan(count, &k)
			require.NoError(t, err)
		}
		n += k
	}
	require.Equal(t, 4000, n)
}
