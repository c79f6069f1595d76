package bacnet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// Sockets are shared by the connectors that use one port: they all get what arrives
// there that is for them. They are safe for concurrent use.
type Sockets struct {
	open Opener

	mu   sync.Mutex
	used map[string]*endpoint
}

// NewSockets returns Sockets that open links with open; nil stands for [Listen].
func NewSockets(open Opener) *Sockets {
	if open == nil {
		open = Listen
	}
	return &Sockets{open: open, used: make(map[string]*endpoint)}
}

// acquire returns the endpoint of a local station, which is opened if it is not. It
// has to be released.
func (s *Sockets) acquire(ctx context.Context, cfg Config, log *slog.Logger) (*endpoint, error) {
	key := fmt.Sprintf("%s:%d", cfg.Local.Host, cfg.Local.Port)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.used[key]; e != nil && cfg.Local.Port > 0 && !e.ended() {
		if err := e.join(cfg.Foreign, log); err != nil {
			return nil, err
		}
		e.refs++
		return e, nil
	}
	link, err := s.open(ctx, cfg.Local)
	if err != nil {
		return nil, err
	}
	e := newEndpoint(link)
	e.refs = 1
	e.start()
	if err := e.join(cfg.Foreign, log); err != nil {
		e.stop()
		return nil, err
	}
	s.used[key] = e
	return e, nil
}

// release gives an endpoint back. The last to do so closes it.
func (s *Sockets) release(e *endpoint) {
	s.mu.Lock()
	e.refs--
	last := e.refs == 0
	if last {
		for key, used := range s.used {
			if used == e {
				delete(s.used, key)
			}
		}
	}
	s.mu.Unlock()
	if last {
		e.stop()
	}
}
