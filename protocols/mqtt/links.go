package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// connect opens the session of a run. Filters that overlap without one covering
// the other are subscribed to on connections of their own: see the comment of the
// package.
func (c *Connector) connect(ctx context.Context, receive func(Message)) (Session, error) {
	router := c.plan.router
	if router.links <= 1 {
		return c.dial(ctx, c.cfg, receive)
	}
	l := &links{router: router, done: make(chan struct{}), closed: make(chan struct{})}
	for i := range router.links {
		cfg := c.cfg
		if i > 0 {
			cfg.ClientID = fmt.Sprintf("%s-%d", cfg.ClientID, i+1)
		}
		s, err := c.dial(ctx, cfg, func(m Message) {
			m.link = i
			receive(m)
		})
		if err != nil {
			l.Close()
			return nil, err
		}
		l.add(s)
	}
	return l, nil
}

// links is several sessions that are used as one. It ends when one of them does.
type links struct {
	router   *router
	sessions []Session
	watchers sync.WaitGroup
	once     sync.Once
	done     chan struct{} // one has ended
	closed   chan struct{} // Close was called
}

var _ Session = (*links)(nil)

func (l *links) add(s Session) {
	l.sessions = append(l.sessions, s)
	l.watchers.Go(func() {
		select {
		case <-s.Done():
			l.once.Do(func() { close(l.done) })
		case <-l.closed:
		}
	})
}

// Subscribe implements Session. What belongs to no link, such as a reply topic,
// goes to the first.
func (l *links) Subscribe(ctx context.Context, subs ...Subscription) error {
	byLink := make([][]Subscription, len(l.sessions))
	for _, s := range subs {
		i := l.router.linkOfFilter(s.Filter)
		byLink[i] = append(byLink[i], s)
	}
	var errs []error
	for i, s := range l.sessions {
		if len(byLink[i]) > 0 {
			errs = append(errs, s.Subscribe(ctx, byLink[i]...))
		}
	}
	return errors.Join(errs...)
}

// Unsubscribe implements Session.
func (l *links) Unsubscribe(ctx context.Context, filters ...string) error {
	var errs []error
	for _, f := range filters {
		errs = append(errs, l.sessions[l.router.linkOfFilter(f)].Unsubscribe(ctx, f))
	}
	return errors.Join(errs...)
}

// Publish implements Session.
func (l *links) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return l.sessions[0].Publish(ctx, topic, qos, retain, payload)
}

// Done implements Session.
func (l *links) Done() <-chan struct{} { return l.done }

// Err implements Session.
func (l *links) Err() error {
	for _, s := range l.sessions {
		if err := s.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Session.
func (l *links) Close() {
	close(l.closed)
	for _, s := range l.sessions {
		s.Close()
	}
	l.watchers.Wait()
	l.once.Do(func() { close(l.done) })
}
