package framing_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/framing"
)

func TestAnswersGoToThoseWhoWaitForThem(t *testing.T) {
	var r framing.Replies
	assert.False(t, r.Offer([]byte("nobody waits")))
	ok := r.Expect(func(m []byte) bool { return bytes.HasPrefix(m, []byte("OK")) })
	next, later := r.Expect(nil), r.Expect(nil)
	gone := r.Expect(nil)
	gone.Cancel()
	gone.Cancel()

	assert.False(t, r.Offer([]byte("21.5")), "what is merely next may be data")
	assert.True(t, r.Offer([]byte("OK 1")))
	assert.False(t, r.Offer([]byte("OK 2")), "each waits for one")
	assert.False(t, r.Offer([]byte("nobody waits")))
	for w, want := range map[*framing.Waiter]string{ok: "OK 1", next: "21.5", later: "OK 2"} {
		m, err := w.Wait(t.Context(), time.Minute)
		require.NoError(t, err)
		assert.Equal(t, want, string(m))
	}
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r framing.Replies
		_, err := r.Expect(nil).Wait(t.Context(), time.Second)
		require.ErrorContains(t, err, "no answer within 1s")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Expect(nil).Wait(ctx, time.Second)
		require.ErrorIs(t, err, context.Canceled)
	})
}
