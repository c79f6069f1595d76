package tbtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTokensComeBackEvenly(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	bs, err := parseBuckets("10:1, 15:60,", now)
	require.NoError(t, err)
	require.True(t, bs.take(10, now))
	require.False(t, bs.take(1, now), "the second is used up")
	now = now.Add(100 * time.Millisecond)
	require.True(t, bs.take(1, now), "a tenth of a second gives one back")
	require.False(t, bs.take(1, now))
	now = now.Add(time.Second)
	require.True(t, bs.take(4, now))
	require.False(t, bs.take(1, now), "the minute is used up")
	now = now.Add(4 * time.Second)
	require.True(t, bs.take(1, now))
	now = now.Add(time.Hour)
	require.False(t, bs.take(11, now), "no more than the capacity comes back")
	require.True(t, bs.take(10, now))
}

func TestRefusedTokensAreNotTaken(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	bs, err := parseBuckets("5:1,2:60", now)
	require.NoError(t, err)
	require.False(t, bs.take(3, now))
	require.True(t, bs.take(2, now))
}

func TestNoLimitAllowsEverything(t *testing.T) {
	bs, err := parseBuckets("", time.Now())
	require.NoError(t, err)
	require.True(t, bs.take(1<<40, time.Now()))
}
