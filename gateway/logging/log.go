package logging

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Config configures New. Its zero value works.
type Config struct {
	Output io.Writer  // zero: os.Stderr
	Level  slog.Level // of all sources at first; zero: slog.LevelInfo
	JSON   bool       // one JSON object a line, in place of Lines
	Remote RemoteConfig

	// Window is the time in which repeated records are one line. Zero: one
	// minute; negative: every record is a line.
	Window time.Duration
}

// A Log is all handlers of this package together: errors are counted, repeated
// records are collapsed, and what is left is written, and sent to the platform,
// by the levels of each.
type Log struct {
	Levels *Levels // of what is written
	Errors *Errors
	Remote *Remote // sends nothing until its Levels say so and it runs

	handler  slog.Handler
	output   output
	collapse *Collapser // nil: repeated records are not collapsed
}

// New returns a Log. Close ends it.
func New(cfg Config) *Log {
	l := &Log{Levels: NewLevels(cfg.Level), Errors: new(Errors), Remote: NewRemote(cfg.Remote)}
	l.output.w = cfg.Output
	if cfg.Output == nil {
		l.output.w = os.Stderr
	}
	var written slog.Handler
	if cfg.JSON {
		written = slog.NewJSONHandler(&l.output, &slog.HandlerOptions{Level: LevelTrace, ReplaceAttr: levelNames})
	} else {
		written = Lines(&l.output)
	}
	next := Fanout(l.Levels.Handler(written), l.Remote.Handler())
	if cfg.Window >= 0 {
		l.collapse = Collapse(next, CollapseConfig{Window: cfg.Window})
		next = l.collapse
	}
	l.handler = l.Errors.Handler(next)
	return l
}

// levelNames writes levels as the rest of this package does.
func levelNames(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(LevelName(level))
	}
	return a
}

// Logger returns the logger of the service.
func (l *Log) Logger() *slog.Logger { return slog.New(l.handler) }

// For returns the logger of a part of the gateway. The client of the platform
// should have that of PartConnection, so that what it logs about the sending of
// log records is not sent.
func (l *Log) For(part string) *slog.Logger { return l.Logger().With(PartKey, part) }

// SetOutput writes what follows to w. It does not close what was written to
// before.
func (l *Log) SetOutput(w io.Writer) { l.output.set(w) }

// Close writes what is still held back as repeated. It does not close the
// output.
func (l *Log) Close() error {
	if l.collapse == nil {
		return nil
	}
	return l.collapse.Close()
}

// output is a writer that can be exchanged.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

func (o *output) set(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = w
}
