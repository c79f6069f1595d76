package framing

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"
)

// A Stream is what a Reader reads from, such as a net.Conn.
type Stream interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

// firstBytes is what a Reader reserves for a message before it knows its size.
const firstBytes = 512

// A Reader reads messages. It is for one goroutine.
type Reader struct {
	s      Stream
	f      Format
	buf    []byte // buf[from:] is read and not yet given out
	from   int
	seen   int  // of buf[from:] that has no delimiter in it
	skip   bool // up to the next delimiter
	timed  bool // a read deadline is set
	silent bool // the last read ended with the silence of Gap
	err    error
}

// NewReader returns a reader of the messages in s. f must be one that Check
// accepts.
func NewReader(s Stream, f Format) *Reader { return &Reader{s: s, f: f} }

// Next returns the next message, which is valid until the next call. It never
// returns an empty one. After ErrTooLong it can be called again: a reader that
// knows delimiters or a Gap is in step again then; any other may not be, and it
// is best to end the connection. Any other error ends the stream: what came before
// it without being a message is given out first, where a Gap would have done so.
func (r *Reader) Next() ([]byte, error) {
	for {
		if m, ok, err := r.cut(); ok || err != nil {
			if len(m) == 0 && err == nil {
				continue
			}
			return m, err
		}
		if r.err != nil {
			if m := r.rest(); len(m) > 0 {
				return m, nil
			}
			return nil, r.err
		}
		if r.silent = r.read(); !r.silent {
			continue
		}
		if m := r.rest(); len(m) > 0 {
			return m, nil
		}
	}
}

// pending returns what is read and not given out.
func (r *Reader) pending() []byte { return r.buf[r.from:] }

// take gives out the first n pending bytes without the last tail of them.
func (r *Reader) take(n, tail int) []byte {
	m := r.buf[r.from : r.from+n-tail]
	r.from += n
	r.seen = 0
	return m
}

// cut returns the message that is complete, if one is.
func (r *Reader) cut() (m []byte, ok bool, err error) {
	b := r.pending()
	switch {
	case len(r.f.Delimiter) > 0:
		return r.cutDelimited(b)
	case r.f.Length != nil:
		return r.cutCounted(b)
	case r.f.Fixed > 0:
		if len(b) < r.f.Fixed {
			return nil, false, nil
		}
		return r.take(r.f.Fixed, 0), true, nil
	case r.f.Gap > 0:
		if len(b) > r.f.max() {
			r.skip = true // up to the silence
			r.take(len(b), 0)
			return nil, false, ErrTooLong
		}
		if r.skip {
			r.take(len(b), 0)
		}
		return nil, false, nil
	default:
		return r.take(len(b), 0), len(b) > 0, nil
	}
}

func (r *Reader) cutDelimited(b []byte) (m []byte, ok bool, err error) {
	d := r.f.Delimiter
	i := bytes.Index(b[r.seen:], d)
	if i >= 0 {
		size := r.seen + i
		tail := len(d)
		if r.f.Keep && size > 0 {
			tail = 0
		}
		m = r.take(size+len(d), tail)
		if r.skip {
			r.skip = false
			return nil, true, nil
		}
		if size > r.f.max() {
			return nil, false, ErrTooLong
		}
		return m, true, nil
	}
	r.seen = max(0, len(b)-len(d)+1)
	if len(b) <= r.f.max()+len(d) {
		return nil, false, nil
	}
	r.take(r.seen, 0) // the rest may be the start of a delimiter
	if r.skip {
		return nil, false, nil
	}
	r.skip = true
	return nil, false, ErrTooLong
}

func (r *Reader) cutCounted(b []byte) (m []byte, ok bool, err error) {
	l := r.f.Length
	if r.skip {
		r.take(len(b), 0)
		return nil, false, nil
	}
	if len(b) < l.end() {
		return nil, false, nil
	}
	n := l.total(b)
	if n < int64(l.end()) || n > int64(r.f.max()) {
		r.take(len(b), 0)
		r.skip = r.f.Gap > 0 // up to the silence
		return nil, false, ErrTooLong
	}
	if int64(len(b)) < n {
		return nil, false, nil
	}
	m = r.take(int(n), 0)
	if l.Strip {
		m = m[l.end():]
	}
	return m, true, nil
}

// rest takes what came before a silence, or the end. It returns it if it is a
// message.
func (r *Reader) rest() []byte {
	m := r.take(len(r.pending()), 0)
	if r.skip {
		r.skip = false
		return nil
	}
	if r.f.Gap == 0 || r.f.Length != nil || r.f.Fixed > 0 {
		return nil
	}
	return m
}

// read reads more. It reports whether nothing came for the time of Gap.
func (r *Reader) read() (silence bool) {
	r.makeRoom()
	if wait := r.f.Gap > 0 && (len(r.pending()) > 0 || r.skip); wait || r.timed {
		var deadline time.Time
		if wait {
			deadline = time.Now().Add(r.f.Gap)
		}
		r.timed = wait
		if err := r.s.SetReadDeadline(deadline); err != nil {
			r.err = err
			return false
		}
	}
	n, err := r.s.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case err == nil:
		return false
	case n == 0 && r.timed && errors.Is(err, os.ErrDeadlineExceeded):
		return true
	default:
		r.err = err
		return false
	}
}

// makeRoom makes room for what is read next.
func (r *Reader) makeRoom() {
	b := r.pending()
	if len(b) == 0 {
		r.buf, r.from = r.buf[:0], 0
	}
	if len(r.buf) < cap(r.buf) && (r.from == 0 || len(b) < cap(r.buf)/2 && cap(r.buf)-len(r.buf) > firstBytes/2) {
		return
	}
	if r.from > 0 {
		r.buf = r.buf[:copy(r.buf, b)]
		r.from = 0
	}
	if len(r.buf) == cap(r.buf) {
		bigger := make([]byte, len(r.buf), max(firstBytes, 2*cap(r.buf)))
		copy(bigger, r.buf)
		r.buf = bigger
	}
}
