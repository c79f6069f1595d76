package tbclient

import (
	"context"
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
		if err := p.Wait(context.Background()); err != nil {
			ln.sess.Fail(err) // it has ended already, unless the publication alone failed
			c.abandon(ln)
			return
		}
		c.acknowledged(ln, p)
	}
}

func (c *Client) noAck() error {
	return fmt.Errorf("tbclient: no acknowledgement within %v: the platform does not answer, or the credentials are not those of a gateway", c.cfg.Timeout)
}

func (c *Client) acknowledged(ln *link, p pending) {
	ln.pop()
	if p.buf != nil {
		c.count.acks.Add(1)
		c.enc.buffers.put(p.buf)
	}
	p.window.release(p.size)
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
		default:
			c.count.failed.Add(1)
			ln.failed = true
		}
	}
	ln.pending = nil
}
