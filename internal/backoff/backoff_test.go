package backoff_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

func TestDelaysDoubleWithinTheirBounds(t *testing.T) {
	b := backoff.Backoff{Shortest: time.Second, Longest: 10 * time.Second}
	for _, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		want *= time.Second
		got := b.Next()
		require.GreaterOrEqual(t, got, want*4/5)
		require.LessOrEqual(t, got, want*6/5+1)
	}
	b.Reset()
	require.LessOrEqual(t, b.Next(), 1200*time.Millisecond+1)
	var zero backoff.Backoff
	require.GreaterOrEqual(t, zero.Next(), 800*time.Millisecond)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := backoff.Backoff{Shortest: time.Hour}
	require.ErrorIs(t, b.Wait(ctx), context.Canceled)
}
