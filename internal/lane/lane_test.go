package lane_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/lane"
)

func TestJobsOfOneKeyRunInOrderAndNeverTogether(t *testing.T) {
	var l lane.Lanes
	var running atomic.Int32
	var got []int
	for i := range 50 {
		require.NoError(t, l.Go("a", func() {
			require.EqualValues(t, 1, running.Add(1))
			got = append(got, i)
			running.Add(-1)
		}))
	}
	l.Wait()
	require.Len(t, got, 50)
	require.IsIncreasing(t, got)
}

func TestABlockedKeyDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lane.Lanes
		release := make(chan struct{})
		require.NoError(t, l.Go("dead", func() { <-release }))
		start := time.Now()
		done := make(chan struct{})
		require.NoError(t, l.Go("alive", func() { close(done) }))
		<-done
		require.Zero(t, time.Since(start))
		close(release)
		l.Wait()
	})
}

func TestQueuesAreBounded(t *testing.T) {
	l := lane.Lanes{Depth: 2}
	release := make(chan struct{})
	require.NoError(t, l.Go("a", func() { <-release }))
	require.NoError(t, l.Go("a", func() {}))
	require.NoError(t, l.Go("a", func() {}))
	require.ErrorIs(t, l.Go("a", func() {}), lane.ErrFull)
	require.NoError(t, l.Go("b", func() {}))
	close(release)
	l.Wait()
	require.NoError(t, l.Go("a", func() {}), "the lane opens again")
	l.Wait()
}
