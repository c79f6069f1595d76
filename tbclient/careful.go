package tbclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Over MQTT 3.1.1 the platform answers data that it does not take by closing
// the connection, and the same data would come first on the next one: nothing
// behind it would ever arrive. So when several connections in a row end that
// way, Publish becomes careful: it sends one publication at a time, and halves
// what the platform does not take until a single value is left. Such a value is
// quarantined if the platform refuses it several times, and each time takes, as
// the next thing, a value that it took before: the witness. A connection that
// breaks for other reasons does not treat the two differently for long.

const (
	carefulCalls = 10          // of Publish, after the last incident
	strikes      = 5           // refusals of a single value until it is believed
	patience     = 10          // attempts to find the platform taking anything at all
	witnessAge   = time.Minute // until another value is remembered
)

// suspicion is about data that the platform does not take. Client.mu guards it.
type suspicion struct {
	ends    int // connections in a row that the platform ended before it acknowledged data
	careful int // calls of Publish that are still to be careful

	witness  *telemetry.Group // a value that the platform has taken
	chosenAt time.Time        // when the last candidate for it was chosen
}

// suspect considers the end of a connection for the reason err, with data under
// way or not, and with so many acknowledgements of data before. c.mu is held.
func (c *Client) suspect(err error, data bool, acks uint64) {
	if limitReached(err) {
		c.rates.drain()
	}
	switch {
	case acks > 0:
		c.ends = 0
	case data && refusedByPlatform(err) && !limitReached(err):
		c.ends++
	}
	if data && contentRefused(err) {
		c.ends = c.cfg.Suspect
	}
	if c.ends < c.cfg.Suspect {
		return
	}
	c.ends = 0
	if c.careful == 0 {
		c.log.Warn("the platform does not take what is published, looking for the part that it does not take", "error", err)
	}
	c.careful = carefulCalls
}

func (c *Client) isCareful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.careful > 0
}

// candidate returns a value of groups to be remembered if the platform takes
// it, or nil if the one that is remembered is recent.
func (c *Client) candidate(groups []telemetry.Group) *telemetry.Group {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.chosenAt) < witnessAge {
		return nil
	}
	c.chosenAt = now
	return someValue(groups)
}

// someValue returns a copy of a value in groups, or nil if there is none that
// would be sent the same way again.
func someValue(groups []telemetry.Group) *telemetry.Group {
	for i := range groups {
		d := groups[i].Device
		for j := range groups[i].Telemetry {
			p := &groups[i].Telemetry[j]
			if d.Name == "" || p.TS == 0 || !p.Value.Valid() {
				continue
			}
			kind, num, str := p.Value.Parts()
			return &telemetry.Group{
				Device: telemetry.Device{Name: strings.Clone(d.Name), Profile: strings.Clone(d.Profile)},
				Telemetry: []telemetry.Point{{
					Key: strings.Clone(p.Key), TS: p.TS, Value: telemetry.Restore(kind, num, strings.Clone(str)),
				}},
			}
		}
	}
	return nil
}

// remember keeps a value that the platform has taken.
func (c *Client) remember(g *telemetry.Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.witness = g
}

// publishCarefully is Publish when some of the data is suspected. It returns
// when the platform has taken all of it but what is quarantined.
func (c *Client) publishCarefully(ctx context.Context, groups []telemetry.Group) (gateway.Delivery, error) {
	s := &sieve{c: c, ctx: ctx}
	err := s.run(groups)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noticed = max(c.noticed, c.lost) // nothing else was under way
	switch {
	case err != nil:
		return nil, fmt.Errorf("tbclient: publish: %w", err)
	case len(s.refused) > 0:
		c.careful = carefulCalls
	default:
		c.careful--
	}
	return delivered{}, nil
}

// A sieve publishes groups and finds those that the platform does not take.
type sieve struct {
	c       *Client
	ctx     context.Context
	refused []refusal
	unsure  []telemetry.Group // refused, but there was no witness
}

// A refusal is data that the platform does not take.
type refusal struct {
	group  telemetry.Group
	reason error
}

// errNothingTaken says that the platform does not take what it took before, or
// that it has not taken anything yet, so that no data can be blamed.
var errNothingTaken = errors.New("there is no data that the platform takes at present")

func (s *sieve) run(groups []telemetry.Group) error {
	groups, err := s.introduce(groups)
	if err != nil {
		return err
	}
	if _, err := s.sift(groups, false); err != nil {
		return err
	}
	unsure := s.unsure // what came after it may have given a witness
	for i := range unsure {
		s.unsure = nil
		if _, err := s.sift(unsure[i:i+1], false); err != nil {
			return err
		}
		if len(s.unsure) > 0 {
			return errNothingTaken
		}
	}
	for i := range s.refused {
		s.c.quarantine(s.refused[i].group, s.refused[i].reason)
	}
	return nil
}

// introduce announces the devices of groups, and returns the groups without
// those of devices that the platform does not take.
func (s *sieve) introduce(groups []telemetry.Group) ([]telemetry.Group, error) {
	seen := make(map[string]error)
	for i := range groups {
		d := groups[i].Device
		if _, ok := seen[d.Name]; ok || d.Name == "" {
			continue
		}
		switch reason, err := s.judge(func(ln *link) error { return s.announce(ln, d) }); {
		case err != nil && !errors.Is(err, errNoWitness):
			return nil, err
		case reason != nil:
			seen[d.Name] = fmt.Errorf("the device: %w", reason)
		default:
			seen[d.Name] = nil // if there is no witness its data will be judged
		}
	}
	kept := make([]telemetry.Group, 0, len(groups))
	for _, g := range groups {
		if reason := seen[g.Device.Name]; reason != nil {
			s.refused = append(s.refused, refusal{g, reason})
			continue
		}
		kept = append(kept, g)
	}
	return kept, nil
}

// announce announces d on ln, unless it is, and waits for the acknowledgement.
func (s *sieve) announce(ln *link, d telemetry.Device) (err error) {
	var p Publication
	if pr := ln.announced[d.Name]; pr.is(s.c.names.platform(d.Name)) {
		p = pr.announcement
	} else if p, err = s.c.connect(s.ctx, ln, d); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	if err = p.Wait(s.ctx); err != nil {
		delete(ln.announced, d.Name)
	}
	return err
}

// sift publishes groups and notes what is refused. If known is set, they are
// known to be refused as a whole. It reports whether nothing was refused.
func (s *sieve) sift(groups []telemetry.Group, known bool) (clean bool, err error) {
	n := points(groups)
	if n == 0 {
		return true, nil
	}
	if n == 1 {
		return s.siftOne(groups)
	}
	if !known {
		err := s.attempt(func(ln *link) error { return s.publish(ln, groups) })
		if err == nil {
			s.c.vouch(groups)
			return true, nil
		}
		if !errors.As(err, new(refusedError)) {
			return false, err
		}
	}
	left, right := halve(groups, n/2)
	leftClean, err := s.sift(left, false)
	if err != nil {
		return false, err
	}
	_, err = s.sift(right, leftClean)
	return false, err
}

// siftOne is sift for a single value.
func (s *sieve) siftOne(group []telemetry.Group) (clean bool, err error) {
	reason, err := s.judge(func(ln *link) error { return s.publish(ln, group) })
	switch {
	case errors.Is(err, errNoWitness):
		s.unsure = append(s.unsure, group[0])
		return false, nil
	case err != nil:
		return false, err
	case reason == nil:
		s.c.vouch(group)
		return true, nil
	}
	s.refused = append(s.refused, refusal{group[0], reason})
	return false, nil
}

var errNoWitness = errors.New("the platform refuses a value, and there is none yet that it takes")

// judge finds out whether the platform takes what f publishes. If it does not,
// reason says why.
func (s *sieve) judge(f func(*link) error) (reason, err error) {
	for strike, failures := 0, 0; strike < strikes; {
		err := s.attempt(f)
		var r refusedError
		switch {
		case err == nil:
			return nil, nil
		case !errors.As(err, &r):
			return nil, err
		}
		reason = r.error
		witness := s.c.trusted()
		if witness == nil {
			return nil, errNoWitness
		}
		err = s.attempt(func(ln *link) error { return s.publish(ln, []telemetry.Group{*witness}) })
		switch {
		case err == nil:
			strike++
		case !errors.As(err, &r):
			return nil, err
		default:
			if failures++; failures == patience {
				return nil, fmt.Errorf("%w: %w", errNothingTaken, r.error)
			}
			strike = 0
		}
	}
	return reason, nil
}

// trusted returns a value that the platform has taken, or nil.
func (c *Client) trusted() *telemetry.Group {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.witness
}

// vouch remembers a value of groups, which the platform has taken, if there is
// none yet.
func (c *Client) vouch(groups []telemetry.Group) {
	if c.trusted() == nil {
		if g := someValue(groups); g != nil {
			c.remember(g)
		}
	}
}

// publish sends groups on ln, one payload at a time.
func (s *sieve) publish(ln *link, groups []telemetry.Group) error {
	c := s.c
	payloads := c.enc.encode(groups, c.bounds(ln))
	defer c.enc.reset()
	if err := c.introduce(s.ctx, ln); err != nil {
		return err
	}
	for _, p := range payloads {
		pub, err := c.transmit(s.ctx, ln, p, pending{alone: true})
		if err == nil {
			err = pub.Wait(s.ctx)
		}
		if err != nil {
			return err
		}
	}
	return s.confirm(ln)
}

// confirm waits until ln has lived on for long enough.
func (s *sieve) confirm(ln *link) error {
	if s.c.cfg.Confirm <= 0 {
		return nil
	}
	timer := time.NewTimer(s.c.cfg.Confirm)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ln.sess.Done():
		return ln.sess.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// A refusedError says that it is the platform that refuses.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// attempt calls f with a connection, and again if the connection ends for a
// reason that has nothing to do with it. If the platform refuses what f does,
// that is a refusedError.
func (s *sieve) attempt(f func(*link) error) error {
	for {
		ln, err := s.c.await(s.ctx, false)
		if err != nil {
			return err
		}
		if err = f(ln); err == nil {
			return nil
		}
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		ended := ln.sess.Err()
		if ended != nil {
			err = ended
		}
		switch {
		case limitReached(err):
			if err := backoff.Sleep(s.ctx, time.Second); err != nil {
				return err
			}
		case refusedByPlatform(err):
			return refusedError{err}
		case ended == nil:
			return err
		}
	}
}

func points(groups []telemetry.Group) (n int) {
	for i := range groups {
		n += len(groups[i].Telemetry) + len(groups[i].Attributes)
	}
	return n
}

// halve splits groups after n points.
func halve(groups []telemetry.Group, n int) (left, right []telemetry.Group) {
	for i, g := range groups {
		size := len(g.Telemetry) + len(g.Attributes)
		if n >= size {
			n -= size
			continue
		}
		if n == 0 {
			return groups[:i], groups[i:]
		}
		a, b := g, g
		t := min(n, len(g.Telemetry))
		a.Telemetry, b.Telemetry = g.Telemetry[:t], g.Telemetry[t:]
		a.Attributes, b.Attributes = g.Attributes[:n-t], g.Attributes[n-t:]
		left = append(slices.Clone(groups[:i]), a)
		right = append([]telemetry.Group{b}, groups[i+1:]...)
		return left, right
	}
	return groups, nil
}
