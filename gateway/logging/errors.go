package logging

import (
	"context"
	"log/slog"
	"maps"
	"sync"
)

// maxCounted bounds the names that Errors counts for; further ones are counted
// as "other".
const maxCounted = 1000

// Errors counts the records of LevelError and above. The zero Errors is ready to
// use. Its methods may be called concurrently.
type Errors struct {
	mu sync.Mutex
	n  map[string]uint64
}

// Counts returns how many errors there were, by the name of the source.
func (e *Errors) Counts() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.n)
}

func (e *Errors) count(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == nil {
		e.n = make(map[string]uint64)
	}
	if _, known := e.n[name]; !known && len(e.n) >= maxCounted {
		name = "other"
	}
	e.n[name]++
}

// Handler returns a handler that counts, and passes every record to next. An
// error counts even if no level lets it pass.
func (e *Errors) Handler(next slog.Handler) slog.Handler {
	return &counting{errors: e, next: next}
}

type counting struct {
	scope
	errors *Errors
	next   slog.Handler
}

// Enabled implements slog.Handler.
func (h *counting) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *counting) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		h.errors.count(h.of(&r).Name)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &counting{h.with(attrs), h.errors, h.next.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *counting) WithGroup(name string) slog.Handler {
	return &counting{h.within(name), h.errors, h.next.WithGroup(name)}
}
