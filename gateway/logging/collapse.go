package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// CollapseConfig configures Collapse. Its zero value works.
type CollapseConfig struct {
	Window  time.Duration // zero: one minute
	Records int           // different ones that are remembered; zero: 1000
}

// A Collapser is a slog.Handler for which many like records are one. Its methods
// may be called concurrently.
//
// Records are like if they have the same level, message, logger and attributes.
// Durations, times, and the local ports in errors of connections do not count,
// since they differ each time. The first one passes at once. Those that follow
// within the window are counted, and at its end the last of them passes with the
// attribute "repeated", which is how many came since. While they go on, that is
// one line for each window, also if several errors alternate.
//
// Records below LevelInfo always pass: who turns them on wants to see them.
type Collapser struct {
	*collapse
	next   slog.Handler
	prefix []byte // the logger's attributes
	group  string
}

var _ slog.Handler = (*Collapser)(nil)

// Collapse returns a Collapser in front of next.
func Collapse(next slog.Handler, cfg CollapseConfig) *Collapser {
	if cfg.Window <= 0 {
		cfg.Window = time.Minute
	}
	if cfg.Records <= 0 {
		cfg.Records = 1000
	}
	c := &collapse{cfg: cfg, seen: make(map[string]*repeat)}
	return &Collapser{collapse: c, next: next}
}

// collapse is what the handlers that derive from one Collapser share.
type collapse struct {
	cfg CollapseConfig

	flushing sync.Mutex // held while what was counted is passed on

	mu     sync.Mutex
	seen   map[string]*repeat
	timer  *time.Timer // nil: nothing was repeated
	closed bool
}

// A repeat is a record that has passed and may come again.
type repeat struct {
	until time.Time // the end of its window
	n     int       // how often it came again
	last  slog.Record
	next  slog.Handler
}

// Enabled implements slog.Handler.
func (h *Collapser) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *Collapser) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && h.again(h.key(&r), r, h.next) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *Collapser) WithAttrs(attrs []slog.Attr) slog.Handler {
	prefix := append([]byte(nil), h.prefix...)
	for _, a := range attrs {
		prefix = appendLike(prefix, h.group, a)
	}
	return &Collapser{h.collapse, h.next.WithAttrs(attrs), prefix, h.group}
}

// WithGroup implements slog.Handler.
func (h *Collapser) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Collapser{h.collapse, h.next.WithGroup(name), h.prefix, h.group + name + "."}
}

// again counts r if it is like one before, and reports whether that is all that
// is to be done with it.
func (c *collapse) again(key string, r slog.Record, next slog.Handler) bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	e := c.seen[key]
	if e == nil {
		if len(c.seen) >= c.cfg.Records && !c.forget(now) {
			return false
		}
		c.seen[key] = &repeat{until: now.Add(c.cfg.Window)}
		return false
	}
	if e.n == 0 && !now.Before(e.until) {
		e.until = now.Add(c.cfg.Window)
		return false
	}
	e.n++
	e.last, e.next = r.Clone(), next
	if c.timer == nil {
		c.timer = time.AfterFunc(e.until.Sub(now), c.flush)
	}
	return true
}

// forget makes room, and reports whether there is some.
func (c *collapse) forget(now time.Time) bool {
	for key, e := range c.seen {
		if e.n == 0 && !now.Before(e.until) {
			delete(c.seen, key)
		}
	}
	return len(c.seen) < c.cfg.Records
}

// flush passes on what was counted in windows that are over.
func (c *collapse) flush() {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	pass(c.take(time.Now()))
}

// take returns what was counted in windows that are over at now, begins new
// windows for it, and sets the timer.
func (c *collapse) take(now time.Time) (out []repeat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.timer = nil
	var earliest time.Time
	for key, e := range c.seen {
		switch over := !now.Before(e.until); {
		case over && e.n == 0:
			delete(c.seen, key)
		case over:
			out = append(out, *e)
			*e = repeat{until: now.Add(c.cfg.Window)}
		case e.n > 0 && (earliest.IsZero() || e.until.Before(earliest)):
			earliest = e.until
		}
	}
	if !earliest.IsZero() {
		c.timer = time.AfterFunc(earliest.Sub(now), c.flush)
	}
	return out
}

func pass(out []repeat) {
	for _, e := range out {
		e.last.AddAttrs(slog.Int("repeated", e.n))
		_ = e.next.Handle(context.Background(), e.last) // there is nobody to tell
	}
}

// Close passes on what was counted. Records that follow pass unchanged.
func (h *Collapser) Close() error {
	c := h.collapse
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	var out []repeat
	for _, e := range c.seen {
		if e.n > 0 {
			out = append(out, *e)
		}
	}
	c.seen = nil
	c.mu.Unlock()
	pass(out)
	return nil
}

// key returns what is equal for like records.
func (h *Collapser) key(r *slog.Record) string {
	key := append([]byte(nil), byte(r.Level))
	key = append(append(key, r.Message...), 0)
	key = append(key, h.prefix...)
	r.Attrs(func(a slog.Attr) bool {
		key = appendLike(key, h.group, a)
		return true
	})
	return string(key)
}

// appendLike appends a without what differs between like records.
func appendLike(dst []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindDuration, slog.KindTime:
		return append(append(append(dst, ' '), group...), a.Key...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return appendAttr(dst, group, slog.String(a.Key, withoutLocalPorts(err.Error())))
		}
	}
	return appendAttr(dst, group, slog.Attr{Key: a.Key, Value: v})
}

// withoutLocalPorts removes the port from "10.0.0.1:41234->", as the errors of
// package net have it.
func withoutLocalPorts(text string) string {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '-' && i+1 < len(text) && text[i+1] == '>' {
			for len(out) > 0 && out[len(out)-1] >= '0' && out[len(out)-1] <= '9' {
				out = out[:len(out)-1]
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}
