package tbclient

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watch waits for the acknowledgements on ln, in the order of sending, and ends
// the session if one does not come in time. It returns when the session has
// ended.
func (c *Client) watch(ln *link) {
	timer := time.NewTimer(c.cfg.Timeout)
	defer timer.Stop()
	for {
		p, ok := ln.first()
		if !ok {
			select {
			case <-ln.added:
				continue
			case <-ln.sess.Done():
				c.abandon(ln)
				return
			}
		}
		timer.Reset(time.Until(p.since.Add(c.cfg.Timeout)))
		select {
		case <-p.Done():
		case <-ln.sess.Done():
		case <-timer.C:
			ln.sess.Fail(c.noAck())
		}
		err := p.Wait(context.Background())
		switch {
		case err == nil:
			c.acknowledged(ln, p)
		case p.alone && c.refused(ln, p, err):
		default:
			ln.sess.Fail(err) // it has ended already, unless the publication alone failed
			c.abandon(ln)
			return
		}
	}
}

func (c *Client) noAck() error {
	return fmt.Errorf("tbclient: no acknowledgement within %v: the platform does not answer, or the credentials are not those of a gateway", c.cfg.Timeout)
}

func (c *Client) acknowledged(ln *link, p pending) {
	ln.pop()
	if p.buf != nil {
		now := time.Now()
		c.count.acks.Add(1)
		c.enc.buffers.put(p.buf)
		ln.mu.Lock()
		ln.acks++
		ln.acked = now
		ln.mu.Unlock()
		if p.delivery != nil && p.delivery.confirm != nil {
			p.delivery.confirm.acknowledged(now)
		}
		if p.witness != nil {
			c.remember(p.witness)
		}
	}
	p.window.release(p.size)
}

// refused deals with a publication that the platform has refused with a reason,
// and whose refusal concerns nothing else. It reports false if that is not what
// err says.
func (c *Client) refused(ln *link, p pending, err error) bool {
	var r *ReasonError
	if ln.sess.Err() != nil || !errors.As(err, &r) {
		return false
	}
	ln.pop()
	p.window.release(p.size)
	if limitReached(err) {
		c.rates.drain()
	}
	if p.buf != nil {
		c.count.failed.Add(1)
	} else if c.warned.refused.allow() {
		c.log.Warn("the platform refuses a message", "error", err)
	}
	return true
}

// abandon counts what was under way when the session ended. An acknowledgement
// that came in out of order is still one.
func (c *Client) abandon(ln *link) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.ended = true
	for _, p := range ln.pending {
		acked := p.Wait(context.Background()) == nil
		switch {
		case !acked && p.again != nil:
			p.again()
		case p.buf == nil:
		case acked:
			c.count.acks.Add(1)
			ln.acks++
			ln.acked = time.Now()
			if p.delivery != nil && p.delivery.confirm != nil {
				p.delivery.confirm.acknowledged(ln.acked)
			}
		default:
			c.count.failed.Add(1)
			ln.failed = ln.failed || !p.alone
		}
	}
	ln.pending = nil
}
