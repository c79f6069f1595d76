// Package backoff computes the growing, jittered delays between attempts.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// The bounds that apply unless a configuration names others.
const (
	DefaultShortest = time.Second
	DefaultLongest  = time.Minute
)

// A Backoff yields the delays between attempts: they start at Shortest, double
// up to Longest, and are spread by a fifth to either side so that many clients
// of one server do not return at the same instant. The zero Backoff uses the
// default bounds. It is not safe for concurrent use.
type Backoff struct {
	Shortest, Longest time.Duration

	next time.Duration
}

// Next returns the delay before the next attempt.
func (b *Backoff) Next() time.Duration {
	shortest, longest := b.Shortest, b.Longest
	if shortest <= 0 {
		shortest = DefaultShortest
	}
	if longest <= 0 {
		longest = max(DefaultLongest, shortest)
	}
	d := min(max(b.next, shortest), longest)
	b.next = min(2*d, longest)
	return d - d/5 + rand.N(2*d/5+1)
}

// Reset makes the next delay the shortest again. Call it after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Wait sleeps for [Backoff.Next], or until ctx is done, whose error it then
// returns.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep sleeps for d, or until ctx is done, whose error it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
