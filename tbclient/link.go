package tbclient

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A link is one connection with the platform: a session, what is under way on
// it, and what was announced on it.
type link struct {
	number uint64
	sess   Session

	data    *window // of telemetry, attributes and announcements
	control *window // of replies and requests, which do not queue behind data

	maxPayload atomic.Int64
	firmware   sync.Mutex           // guards kinds
	kinds      []string             // of firmware that are subscribed to
	announced  map[string]*presence // devices by the gateway's name; belongs to whoever has the turn

	mu      sync.Mutex
	pending []pending // in the order of sending
	ended   bool      // nobody waits for pending any more
	failed  bool      // data was under way when the session ended
	acks    uint64    // of data
	acked   time.Time // the last of them
	added   chan struct{}
}

// A pending publication awaits its acknowledgement.
type pending struct {
	Publication
	window *window
	size   int
	buf    *buffer // to be used again; nil for control messages
	again  func()  // called if there is no acknowledgement; may be nil
	since  time.Time

	delivery *delivery        // that it belongs to, if that wants to know of the acknowledgement
	witness  *telemetry.Group // to be remembered when it is acknowledged; may be nil
	alone    bool             // its refusal concerns nothing else
}

func (c *Client) newLink(sess Session) *link {
	ln := &link{sess: sess, announced: make(map[string]*presence), added: make(chan struct{}, 1)}
	ln.data, ln.control = newWindow(0, c.cfg.WindowBytes), newWindow(0, controlBytes)
	c.mu.Lock()
	c.links++
	ln.number = c.links
	l := c.limits
	c.mu.Unlock()
	c.setLimits(ln, l)
	return ln
}

// serve connects once, and returns when the connection has ended, with how long
// it was up.
func (c *Client) serve(ctx context.Context, dl *downlink, state *report) (lived time.Duration, err error) {
	sess, err := c.tr.Connect(ctx, dl.receive)
	if err != nil {
		return 0, err
	}
	ln := c.newLink(sess)
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { c.watch(ln) })
	defer func() {
		cancel()
		sess.Close()
		running.Wait()
		c.settleLink(ln)
	}()
	if err := c.prepare(ctx, ln); err != nil {
		if sess.Err() != nil {
			err = sess.Err()
		}
		return 0, err
	}
	running.Go(func() { c.announce(alive, ln) })
	running.Go(func() { dl.reply(alive, ln) })
	for range syncers {
		running.Go(func() { c.syncAttributes(alive, ln, dl) })
	}
	c.refresh(alive, ln, dl)
	c.count.connects.Add(1)
	c.setLink(ln)
	began := time.Now()
	state.up(c.log)
	select {
	case <-sess.Done():
	case <-ctx.Done():
		dl.finish()
		dl.flush(ln)
		ln.settle(time.Second)
	}
	c.setLink(nil)
	return time.Since(began), sess.Err()
}

// prepare makes a new session ready for data.
func (c *Client) prepare(ctx context.Context, ln *link) error {
	sub, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	err := ln.sess.Subscribe(sub, filters()...)
	cancel()
	if err != nil && (ln.sess.Err() != nil || sub.Err() != nil) {
		return fmt.Errorf("tbclient: %w", err)
	}
	if err != nil {
		c.log.Warn("the platform refuses a subscription, so some commands will not arrive", "error", err)
	}
	if err := c.negotiate(ctx, ln); err != nil {
		return err
	}
	return c.reannounce(ctx, ln)
}

// setLink makes ln, or nil, the connection that everybody uses.
func (c *Client) setLink(ln *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = ln
	close(c.changed)
	c.changed = make(chan struct{})
}

// settleLink forgets what only an answer on ln could have ended, and remembers
// whether data was lost with it.
func (c *Client) settleLink(ln *link) {
	ln.mu.Lock()
	failed, acks, acked := ln.failed, ln.acks, ln.acked
	ln.mu.Unlock()
	unconfirmed := acks > 0 && time.Since(acked) < c.cfg.Confirm
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.requests)
	c.unsynced = nil
	if failed || unconfirmed {
		c.lost = max(c.lost, ln.number)
	}
	c.suspect(ln.sess.Err(), failed, acks)
}

// current returns the connection, or nil if there is none.
func (c *Client) current() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive()
}

func (c *Client) alive() *link {
	if c.link == nil || c.link.sess.Err() != nil {
		return nil
	}
	return c.link
}

// await returns the connection once there is one. For data it fails if the end
// of an earlier connection has to be noticed first.
func (c *Client) await(ctx context.Context, data bool) (*link, error) {
	for {
		c.mu.Lock()
		if data && c.lost > c.noticed {
			c.noticed = c.lost
			c.mu.Unlock()
			return nil, errLinkEnded
		}
		ln, changed := c.alive(), c.changed
		c.mu.Unlock()
		if ln != nil {
			return ln, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// send publishes a control message, without waiting for its acknowledgement.
// If the session ends before that, it calls again, unless that is nil.
func (ln *link) send(ctx context.Context, topic string, payload []byte, again func()) error {
	if limit := int(ln.maxPayload.Load()); len(payload) > limit {
		return connector.Invalid(fmt.Errorf("a message of %d bytes is larger than the platform takes, which is %d", len(payload), limit))
	}
	if err := ln.control.acquire(ctx, ln.sess, len(payload)); err != nil {
		return err
	}
	p := pending{Publication: ln.sess.Publish(topic, payload), window: ln.control, size: len(payload), again: again, alone: true}
	if !ln.track(p) && again != nil {
		again()
	}
	return nil
}

// sendAndWait publishes a control message and waits until the platform has
// acknowledged it.
func (ln *link) sendAndWait(ctx context.Context, topic string, payload []byte) error {
	if limit := int(ln.maxPayload.Load()); len(payload) > limit {
		return connector.Invalid(fmt.Errorf("a message of %d bytes is larger than the platform takes, which is %d", len(payload), limit))
	}
	if err := ln.control.acquire(ctx, ln.sess, len(payload)); err != nil {
		return err
	}
	p := pending{Publication: ln.sess.Publish(topic, payload), window: ln.control, size: len(payload), alone: true}
	ln.track(p)
	return p.Wait(ctx)
}

// track has the acknowledgement of p waited for. It reports false if that is
// over, because the session has ended.
func (ln *link) track(p pending) bool {
	p.since = time.Now()
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.ended {
		return false
	}
	ln.pending = append(ln.pending, p)
	select {
	case ln.added <- struct{}{}:
	default:
	}
	return true
}

// first returns the oldest publication under way.
func (ln *link) first() (pending, bool) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if len(ln.pending) == 0 {
		return pending{}, false
	}
	return ln.pending[0], true
}

func (ln *link) pop() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	n := copy(ln.pending, ln.pending[1:])
	ln.pending[n] = pending{}
	ln.pending = ln.pending[:n]
}

// settle waits until nothing is under way, at most for d.
func (ln *link) settle(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	ln.mu.Lock()
	under := slices.Clone(ln.pending)
	ln.mu.Unlock()
	for _, p := range under {
		if p.Wait(ctx) != nil {
			return
		}
	}
}
