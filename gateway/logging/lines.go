package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Lines returns a handler that writes each record to w as one line:
//
//	2026-11-22 05:00:00.123 - |WARNING| - [meters] - device does not answer device="hall 3"
//
// with the level's name and the source's, so that whoever read the log of the
// Python gateway reads this one. Characters that could end the line or steer a
// terminal are escaped. It writes one line at a time and in one call.
func Lines(w io.Writer) slog.Handler {
	var mu sync.Mutex
	var buf []byte
	return &lines{
		enabled: func(scope, slog.Level) bool { return true },
		emit: func(s Source, r slog.Record, attrs string) error {
			mu.Lock()
			defer mu.Unlock()
			buf = append(appendLine(buf[:0], s, r, attrs), '\n')
			_, err := w.Write(buf)
			return err
		},
	}
}

// appendLine appends the line of r without its end. attrs are those of the
// record's logger and its own.
func appendLine(dst []byte, s Source, r slog.Record, attrs string) []byte {
	dst = appendHead(dst, r.Time, r.Level, s)
	dst = appendSafe(dst, r.Message)
	return append(dst, attrs...)
}

// lines is a handler that knows the source of a record and its attributes as
// text.
type lines struct {
	scope
	group   string // "a.b."
	attrs   []byte // of the logger, as text
	enabled func(scope, slog.Level) bool
	emit    func(s Source, r slog.Record, attrs string) error
}

// Enabled implements slog.Handler.
func (h *lines) Enabled(_ context.Context, level slog.Level) bool { return h.enabled(h.scope, level) }

// Handle implements slog.Handler.
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = h.append(attrs, a)
		return true
	})
	return h.emit(h.of(&r), r, string(attrs))
}

// append appends an attribute, unless the line says it in its brackets.
func (h *lines) append(dst []byte, a slog.Attr) []byte {
	if !h.grouped && isSource(a) {
		return dst
	}
	return appendAttr(dst, h.group, a)
}

// WithAttrs implements slog.Handler.
func (h *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	d := *h
	d.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		d.attrs = h.append(d.attrs, a)
	}
	d.scope = h.with(attrs)
	return &d
}

// WithGroup implements slog.Handler.
func (h *lines) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	d := *h
	d.group += name + "."
	d.scope = h.within(name)
	return &d
}
