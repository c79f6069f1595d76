package conf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
)

// A Reader collects what is wrong with one file, which of its keys mean nothing,
// and which keys were asked for. It is used by one goroutine.
type Reader struct {
	log     *slog.Logger
	errs    []error
	unknown map[string]bool // paths without indices
	unused  map[string]bool
	warned  map[string]bool
	uses    *uses
}

// NewReader returns a Reader that logs to log, or to nobody if it is nil.
func NewReader(log *slog.Logger) *Reader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reader{
		log: log, unknown: make(map[string]bool), unused: make(map[string]bool),
		warned: make(map[string]bool), uses: newUses(),
	}
}

// Next returns a Reader for another file of the same sort. The Keys of both are those
// of all files.
func (r *Reader) Next() *Reader {
	next := NewReader(r.log)
	next.uses = r.uses
	return next
}

// Root returns the object that the document consists of. What is no object is a
// problem, and read as an empty one. Its key "$schema" is for editors.
func (r *Reader) Root(doc json.RawMessage) *Object {
	o := r.object("", "", doc)
	o.read["$schema"] = true
	return o
}

// Done logs which keys have no effect, once for the file, and returns the problems
// as one error, each with the path of its key first, or nil.
func (r *Reader) Done() error {
	if len(r.unknown) > 0 {
		r.log.Warn("configuration keys without a meaning are ignored", slog.Any("keys", slices.Sorted(maps.Keys(r.unknown))))
	}
	if len(r.unused) > 0 {
		r.log.Warn("configuration keys do not apply here and have no effect", slog.Any("keys", slices.Sorted(maps.Keys(r.unused))))
	}
	clear(r.unknown)
	clear(r.unused)
	return r.Err()
}

// Err returns the problems so far.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

// Failures returns how many problems there are so far.
func (r *Reader) Failures() int { return len(r.errs) }

// Fail notes a problem with what is at path. A nil err is none.
func (r *Reader) Fail(path string, err error) {
	switch {
	case err == nil:
	case path == "":
		r.errs = append(r.errs, err)
	default:
		r.errs = append(r.errs, fmt.Errorf("%s: %w", path, err))
	}
}

// Warn logs text about the key at path, once for all elements of a list.
func (r *Reader) Warn(path, text string) { r.warn(path, pattern(path), text) }

func (r *Reader) warn(path, pattern, text string) {
	once := pattern + "\x00" + text
	if !r.warned[once] {
		r.warned[once] = true
		r.log.LogAttrs(context.Background(), slog.LevelWarn, text, slog.String("key", path)) //nolint:sloglint // the callers' messages are literals
	}
}

var indices = regexp.MustCompile(`\[[0-9]+\]`)

// pattern returns path with "[]" for each index.
func pattern(path string) string { return indices.ReplaceAllString(path, "[]") }
