package tbclient

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rates limit what is sent, in the form of the platform's tenant profiles: each
// is a list of limits "count:seconds", such as "10:1,300:60", of which all
// apply. An empty string, and a limit of zero, mean no limit. Four fifths of a
// limit are used, and one message at least.
type Rates struct {
	Messages          string // messages other than telemetry
	TelemetryMessages string // messages of telemetry; one for each device in it
	DataPoints        string // values of telemetry
}

// CheckRates returns an error if list is not a list of limits as in [Rates].
func CheckRates(list string) error {
	_, err := parseRates(list)
	return err
}

// A rate allows count tokens in a period.
type rate struct {
	count  int
	period time.Duration
}

// parseRates parses a list of limits. An error names the first that is none;
// the others are returned all the same.
func parseRates(s string) (rates []rate, err error) {
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' }) {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		count, seconds, _ := strings.Cut(item, ":")
		n, err1 := strconv.ParseInt(strings.TrimSpace(count), 10, 32)
		sec, err2 := strconv.ParseInt(strings.TrimSpace(seconds), 10, 32)
		switch {
		case err1 != nil || err2 != nil || n < 0 || sec < 0 || n > 0 && sec == 0:
			if err == nil {
				err = fmt.Errorf("rate limit %q is not of the form count:seconds", item)
			}
		case n > 0:
			rates = append(rates, rate{int(n), time.Duration(sec) * time.Second})
		}
	}
	return rates, err
}

// A limiter makes senders wait so that several rates are kept. The zero limiter
// has no limit. It may be used concurrently.
type limiter struct {
	mu      sync.Mutex
	buckets []bucket
}

// A bucket holds tokens, which come back evenly in time.
type bucket struct {
	rate
	tokens float64 // less than zero if more was taken than there was
	at     time.Time
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(float64(b.count), b.tokens+d.Seconds()/b.period.Seconds()*float64(b.count))
	}
	b.at = now
}

// lacks returns how long it takes until there are n tokens, or as many as the
// bucket holds.
func (b *bucket) lacks(n int) time.Duration {
	missing := float64(min(n, b.count)) - b.tokens
	if missing <= 1e-9 {
		return 0
	}
	return time.Duration(math.Ceil(missing / float64(b.count) * float64(b.period)))
}

// set replaces the rates, of which the usable part applies. What was taken of a
// rate that stays is still taken.
func (l *limiter) set(rates []rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	old := l.buckets
	l.buckets = nil
	for _, r := range rates {
		r.count = max(1, part(r.count))
		b := bucket{rate: r, tokens: float64(r.count), at: now}
		for _, o := range old {
			if o.rate == r {
				b = o
			}
		}
		l.buckets = append(l.buckets, b)
	}
}

// capacity returns the most tokens that can be taken at once, or 0 if there is
// no limit.
func (l *limiter) capacity() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	least := 0
	for i := range l.buckets {
		if n := l.buckets[i].count; least == 0 || n < least {
			least = n
		}
	}
	return least
}

// try takes n tokens, or returns how long to wait before trying again.
func (l *limiter) try(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buckets) == 0 {
		return 0
	}
	now := time.Now()
	var wait time.Duration
	for i := range l.buckets {
		b := &l.buckets[i]
		b.fill(now)
		wait = max(wait, b.lacks(n))
	}
	if wait == 0 {
		l.take(n)
	}
	return wait
}

func (l *limiter) take(n int) {
	for i := range l.buckets {
		l.buckets[i].tokens -= float64(n)
	}
}

// charge takes a token whether there is one or not. Those who wait for tokens
// wait longer for it.
func (l *limiter) charge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(1)
}

// drain takes all tokens: the platform says that its limit is reached.
func (l *limiter) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.buckets {
		l.buckets[i].tokens = min(0, l.buckets[i].tokens)
	}
}

// acquire waits for n tokens and takes them. It fails when ctx or the session
// is done.
func (l *limiter) acquire(ctx context.Context, s Session, n int) error {
	for {
		wait := l.try(n)
		if wait == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.Done():
			timer.Stop()
			return s.Err()
		}
	}
}

// limiters are those of one level of the platform.
type limiters struct {
	messages, telemetry, points limiter
}

// set combines the rates of the configuration with those that the platform
// told.
func (l *limiters) set(all ...Rates) (err error) {
	var messages, telemetry, points []rate
	add := func(to *[]rate, list string) {
		rates, parseErr := parseRates(list)
		*to = append(*to, rates...)
		err = errors.Join(err, parseErr)
	}
	for _, r := range all {
		add(&messages, r.Messages)
		add(&telemetry, r.TelemetryMessages)
		add(&points, r.DataPoints)
	}
	l.messages.set(messages)
	l.telemetry.set(telemetry)
	l.points.set(points)
	return err
}

// drain takes all tokens at once.
func (l *limiters) drain() {
	l.messages.drain()
	l.telemetry.drain()
	l.points.drain()
}
