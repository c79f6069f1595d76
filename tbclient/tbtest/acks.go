package tbtest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxUnacked bounds the messages of a session that wait for acknowledgement.
const maxUnacked = 1 << 16

// holdFor is how long acknowledgements that are to be reordered wait for others.
const holdFor = 100 * time.Millisecond

// An ack is an acknowledgement that is due.
type ack struct {
	id     uint16
	reason byte
	due    time.Time
	then   func() error // to do when it has been sent; nil: nothing
}

// acks are the acknowledgements of a session that have not been sent.
type acks struct {
	mu      sync.Mutex
	queue   []ack // by due time
	held    []ack // due, and waiting for others to be reordered with
	ready   []ack
	since   time.Time // when the first one was held
	waiting int       // all of these
	unsent  int       // and those that are being written
	hurry   bool      // the session ends: hold none back
	wake    chan struct{}
	idle    chan struct{} // closed while unsent is 0
}

func newAcks() *acks {
	a := &acks{wake: make(chan struct{}, 1), idle: make(chan struct{})}
	close(a.idle)
	return a
}

// add adds an acknowledgement and returns how many there are.
func (a *acks) add(k ack) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := len(a.queue)
	for at > 0 && a.queue[at-1].due.After(k.due) {
		at--
	}
	a.queue = slices.Insert(a.queue, at, k)
	if a.unsent == 0 {
		a.idle = make(chan struct{})
	}
	a.waiting++
	a.unsent++
	a.poke()
	return a.waiting
}

func (a *acks) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns the acknowledgement to send now, or how long to wait for the
// next one; negative: until another is added. Each window of them is sent in
// the opposite order.
func (a *acks) take(now time.Time, window int) (k ack, ok bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hurry {
		window = 1
	}
	if len(a.ready) == 0 {
		a.collect(now, max(window, 1))
	}
	if len(a.ready) > 0 {
		k, a.ready = a.ready[0], a.ready[1:]
		a.waiting--
		return k, true, 0
	}
	wait = -1
	if len(a.held) > 0 {
		wait = holdFor - now.Sub(a.since)
	}
	if len(a.queue) > 0 {
		if d := a.queue[0].due.Sub(now); wait < 0 || d < wait {
			wait = d
		}
	}
	return ack{}, false, wait
}

// collect makes a window of acknowledgements ready, if it is full or has waited
// long enough.
func (a *acks) collect(now time.Time, window int) {
	for len(a.queue) > 0 && len(a.held) < window && !a.queue[0].due.After(now) {
		if len(a.held) == 0 {
			a.since = now
		}
		a.held = append(a.held, a.queue[0])
		a.queue = a.queue[1:]
	}
	if len(a.held) >= window || len(a.held) > 0 && now.Sub(a.since) >= holdFor {
		slices.Reverse(a.held)
		a.ready, a.held = a.held, nil
	}
}

// sent says that one acknowledgement has been written.
func (a *acks) sent() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsent--; a.unsent == 0 {
		close(a.idle)
	}
}

// drain returns a channel that is closed when all are written.
func (a *acks) drain() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hurry = true
	a.poke()
	return a.idle
}

// ack has a message acknowledged after the delay that is set, and then something
// done, unless that is nil.
func (se *session) ack(p *packets.Packet, reason byte, then func() error) error {
	if p.FixedHeader.Qos == 0 {
		if then != nil {
			return then()
		}
		return nil
	}
	cfg := &se.srv.cfg
	delay := se.srv.faults.ackDelay()
	if cfg.AckDelay != nil {
		delay += cfg.AckDelay(se.message(p))
	}
	under := se.acks.add(ack{p.PacketID, reason, time.Now().Add(delay), then})
	se.srv.event(func() {
		se.srv.stats.MaxUnacked = max(se.srv.stats.MaxUnacked, under)
		if reason >= reasonUnspecified {
			se.srv.stats.Refusals++
		}
	})
	if m := int(cfg.ReceiveMaximum); m > 0 && se.version == 5 && under > m {
		return ending(reasonReceiveMaximum, "more messages in flight than the receive maximum")
	}
	if under > maxUnacked {
		return errors.New("tbtest: too many messages without an acknowledgement")
	}
	return nil
}

// acknowledge sends acknowledgements when they are due, until the session ends.
func (se *session) acknowledge() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		k, ok, wait := se.acks.take(time.Now(), se.srv.faults.reorderWindow())
		if ok {
			p := header(packets.Puback)
			p.PacketID, p.ReasonCode = k.id, k.reason
			err := se.write(p)
			if err == nil && k.then != nil {
				err = k.then()
			}
			se.acks.sent()
			if err != nil {
				se.cut()
				return
			}
			continue
		}
		if wait < 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-se.acks.wake:
		case <-timer.C:
		case <-se.ended:
			return
		}
	}
}

// drainAcks waits until the acknowledgements under way are sent, or the session
// has ended.
func (se *session) drainAcks() {
	select {
	case <-se.acks.drain():
	case <-se.ended:
	}
}
