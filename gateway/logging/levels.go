package logging

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
)

// Levels is a level for each source, changeable while records are logged. The
// zero Levels is LevelInfo for all. Its methods may be called concurrently.
type Levels struct {
	mu    sync.Mutex // held by whoever replaces the table
	fixed bool
	table atomic.Pointer[levelTable]
}

// levelTable is not changed once it is in use.
type levelTable struct {
	rest  slog.Level // of sources that are not in by
	by    map[Source]slog.Level
	least slog.Level // of all
}

// NewLevels returns Levels that are rest for all sources.
func NewLevels(rest slog.Level) *Levels {
	l := new(Levels)
	l.SetAll(rest, nil)
	return l
}

// SetAll replaces everything: by holds the levels of some sources, and rest is
// that of the others. It does not retain by.
func (l *Levels) SetAll(rest slog.Level, by map[Source]slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(rest, maps.Clone(by))
}

// Set sets the level of one source.
func (l *Levels) Set(s Source, level slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.current()
	by := make(map[Source]slog.Level, len(t.by)+1)
	maps.Copy(by, t.by)
	by[s] = level
	l.put(t.rest, by)
}

// Unset makes a source have the level that it has without a Set of its own.
func (l *Levels) Unset(s Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.current()
	by := maps.Clone(t.by)
	delete(by, s)
	l.put(t.rest, by)
}

// Fix makes all sources have one level for good, whatever else is set before or
// after: so a command line can come before configuration files.
func (l *Levels) Fix(level slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(level, nil)
	l.fixed = true
}

// Level returns the level of a source.
func (l *Levels) Level(s Source) slog.Level { return l.current().of(s) }

func (l *Levels) put(rest slog.Level, by map[Source]slog.Level) {
	if l.fixed {
		return
	}
	t := &levelTable{rest: rest, by: by, least: rest}
	for _, level := range by {
		t.least = min(t.least, level)
	}
	l.table.Store(t)
}

func (l *Levels) current() *levelTable {
	if t := l.table.Load(); t != nil {
		return t
	}
	return new(levelTable)
}

func (t *levelTable) of(s Source) slog.Level {
	if level, ok := t.by[s]; ok {
		return level
	}
	if s.Connector {
		if level, ok := t.by[Part(PartConnector)]; ok {
			return level
		}
	}
	return t.rest
}

// mayPass reports whether a record of the level can pass. That of a part may
// turn out to be about a connector.
func (l *Levels) mayPass(s scope, level slog.Level) bool {
	t := l.current()
	if s.source.Connector {
		return level >= t.of(s.source)
	}
	return level >= t.least
}

// Handler returns a handler that passes to next the records that reach the
// level of their source.
func (l *Levels) Handler(next slog.Handler) slog.Handler {
	return &leveled{levels: l, next: next}
}

type leveled struct {
	scope
	levels *Levels
	next   slog.Handler
}

// Enabled implements slog.Handler.
func (h *leveled) Enabled(ctx context.Context, level slog.Level) bool {
	return h.levels.mayPass(h.scope, level) && h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *leveled) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.levels.Level(h.of(&r)) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &leveled{h.with(attrs), h.levels, h.next.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *leveled) WithGroup(name string) slog.Handler {
	return &leveled{h.within(name), h.levels, h.next.WithGroup(name)}
}
