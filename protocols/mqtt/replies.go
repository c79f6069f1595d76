package mqtt

import (
	"context"
	"sync"
	"sync/atomic"
)

// replies hands messages to the remote procedure calls that wait for them. It
// subscribes to a reply topic while at least one call waits on it.
type replies struct {
	run     *run
	waiting atomic.Int64 // calls; lets offer return at once when there is none
	work    sync.WaitGroup

	mu     sync.Mutex
	topics map[string]*replyTopic
	over   bool // the session ends, and its subscriptions with it
}

type replyTopic struct {
	turn  chan struct{} // held while subscribing or unsubscribing
	calls []chan []byte // in order; each gets one reply
	users int           // calls that need the subscription
	up    bool          // subscribed; guarded by turn
}

func newReplies(r *run) *replies { return &replies{run: r, topics: make(map[string]*replyTopic)} }

// expect subscribes to a reply topic and returns where the reply will arrive.
// Whoever calls it calls done afterwards.
func (r *replies) expect(ctx context.Context, topic string, qos byte) (reply chan []byte, done func(), err error) {
	r.mu.Lock()
	t := r.topics[topic]
	if t == nil {
		t = &replyTopic{turn: make(chan struct{}, 1)}
		r.topics[topic] = t
	}
	t.users++
	r.mu.Unlock()
	if err := r.subscribe(ctx, topic, qos, t); err != nil {
		r.leave(topic, t)
		return nil, nil, err
	}
	reply = make(chan []byte, 1)
	r.mu.Lock()
	t.calls = append(t.calls, reply)
	r.mu.Unlock()
	r.waiting.Add(1)
	return reply, func() {
		r.waiting.Add(-1)
		r.forget(t, reply)
		r.leave(topic, t)
	}, nil
}

func (r *replies) subscribe(ctx context.Context, topic string, qos byte, t *replyTopic) error {
	if r.run.c.plan.router.subscribed(topic) {
		return nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.up {
		return nil
	}
	if err := r.run.session.Subscribe(ctx, Subscription{Filter: topic, QoS: qos}); err != nil {
		return err
	}
	t.up = true
	return nil
}

// leave ends the use of a reply topic. The last one unsubscribes, in the
// background.
func (r *replies) leave(topic string, t *replyTopic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.work.Go(func() { r.unsubscribe(topic, t) })
	}
}

func (r *replies) unsubscribe(topic string, t *replyTopic) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	r.mu.Lock()
	t.users--
	last := t.users == 0
	r.mu.Unlock()
	if !last {
		return
	}
	if t.up {
		ctx, cancel := context.WithTimeout(r.run.ctx, subscribeTimeout)
		defer cancel()
		_ = r.run.session.Unsubscribe(ctx, topic) // if it fails, the session is ending
		t.up = false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.users == 0 {
		delete(r.topics, topic)
	}
}

func (r *replies) forget(t *replyTopic, reply chan []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range t.calls {
		if c == reply {
			t.calls = append(t.calls[:i], t.calls[i+1:]...)
			return
		}
	}
}

// offer gives m to the oldest call that waits on its topic. A retained message
// is older than the call and no reply to it.
func (r *replies) offer(m Message) {
	if m.Retained || r.waiting.Load() == 0 {
		return
	}
	if router := r.run.c.plan.router; router.links > 1 && router.firstLink(m.Topic) != m.link {
		return // another link brings it too
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, t := range r.topics {
		if len(t.calls) == 0 || !Match(topic, m.Topic) {
			continue
		}
		t.calls[0] <- m.Payload
		t.calls = t.calls[1:]
	}
}

// close waits for what goes on in the background, and lets nothing new begin.
func (r *replies) close() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.work.Wait()
}
