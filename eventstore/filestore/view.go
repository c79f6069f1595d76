package filestore

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A View is what the files of a store hold, for tools. It changes nothing, and
// a store may be at work in the folder. It is not safe for concurrent use.
type View struct {
	InUse     bool   // a store had the folder open
	Cursor    uint64 // the offset up to which records are released
	CursorErr error  // why the cursor cannot be read; reading would start at the oldest record
	Segments  []SegmentInfo
	Aside     []SegmentInfo // damaged segments that are kept for examination

	dir      disk.Dir
	format   *format
	segments []*segment
}

// A SegmentInfo describes the file of a segment.
type SegmentInfo struct {
	Name     string
	First    uint64 // offset of its first record
	Size     int64  // of the file, in bytes
	Modified time.Time
	Key      string // ID of the key that encrypts it, or ""
	Codec    string // name of the codec that compresses it, or ""
	Err      error  // what is wrong with its header, or why it cannot be read with the keys and codecs given
}

// A DamageError tells of records that are damaged or missing.
type DamageError struct {
	Segment     string // name of the file
	First, Last uint64 // the records; Last is 0 if their number is unknown
	Pos, Bytes  int64  // where in the file
	Missing     bool   // the file has nothing in their place
	Tail        bool   // it is the end of the newest segment: a record that is being written, or that a crash has left
}

// Error implements error.
func (e *DamageError) Error() string {
	switch {
	case e.Tail:
		return fmt.Sprintf("segment %s: incomplete record %d at byte %d (%d bytes)", e.Segment, e.First, e.Pos, e.Bytes)
	case e.Missing:
		return fmt.Sprintf("segment %s: records %d to %d are missing", e.Segment, e.First, e.Last)
	default:
		return fmt.Sprintf("segment %s: records %d to %d are damaged, at byte %d (%d bytes)", e.Segment, e.First, e.Last, e.Pos, e.Bytes)
	}
}

// Look lists what is in the folder cfg.Dir. Of the rest of cfg it uses the keys
// and codecs, old ones as well.
func Look(cfg Config) (*View, error) {
	d, err := disk.ReadFolder(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: look: %w", err)
	}
	v, err := look(d, cfg)
	if err != nil {
		return nil, fmt.Errorf("filestore: look: %w", err)
	}
	if v.InUse, err = disk.InUse(cfg.Dir); err != nil {
		return nil, fmt.Errorf("filestore: look: %w", err)
	}
	return v, nil
}

func look(d disk.Dir, cfg Config) (*View, error) {
	f, err := newFormat(cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	f.limit = math.MaxInt32
	entries, err := d.List()
	if err != nil {
		return nil, err
	}
	v := &View{dir: d, format: f}
	v.Cursor, v.CursorErr = loadCursor(d)
	for _, e := range entries {
		if isAside(e.Name) {
			v.Aside = append(v.Aside, SegmentInfo{Name: e.Name, Size: e.Size, Modified: e.Modified})
		}
		first, ok := parseSegmentName(e.Name)
		if !ok {
			continue
		}
		g := &segment{first: first, next: math.MaxUint64, written: e.Size, newest: e.Modified}
		if n := len(v.segments); n > 0 {
			v.segments[n-1].next = first
		}
		l, bad := identify(d, g)
		info := SegmentInfo{Name: e.Name, First: first, Size: e.Size, Modified: e.Modified, Key: l.keyID, Codec: l.codec, Err: bad}
		if bad == nil {
			info.Err = f.readable(l)
		}
		v.segments, v.Segments = append(v.segments, g), append(v.Segments, info)
	}
	return v, nil
}

// Records returns the records of Segments[i] in their order, also those that are
// released already. In the place of damaged ones it yields a *DamageError, and
// goes on after them; any other error is the last. A record is valid until the
// next one is yielded.
func (v *View) Records(i int) iter.Seq2[eventstore.Record, error] {
	g := v.segments[i]
	return func(yield func(eventstore.Record, error) bool) {
		f, err := v.dir.Open(g.name())
		if err != nil {
			yield(eventstore.Record{}, err)
			return
		}
		err = walk(f, v.format, g, yield)
		if err = errors.Join(err, f.Close()); err != nil {
			yield(eventstore.Record{}, fmt.Errorf("filestore: segment %s: %w", g.name(), err))
		}
	}
}

// walk yields the records and the damage of g, until yield returns false.
func walk(f disk.File, form *format, g *segment, yield func(eventstore.Record, error) bool) error {
	r := newScan(form, g)
	for r.place.offset < r.end && (r.place.pos < r.limit || g.next != math.MaxUint64) {
		from := r.place
		lost, err := r.next(f)
		if err != nil {
			return err
		}
		if lost.hi == 0 {
			if !r.chunk.each(yield) {
				return nil
			}
			continue
		}
		e := &DamageError{Segment: g.name(), First: lost.lo, Last: lost.hi, Pos: from.pos, Bytes: r.place.pos - from.pos, Missing: r.missing}
		if r.place.offset == math.MaxUint64 {
			end, err := dataEnd(f, from.pos, r.limit)
			if err != nil || end == from.pos {
				return err
			}
			e.Last, e.Tail, e.Bytes = 0, true, end-from.pos
		}
		if !yield(eventstore.Record{}, e) {
			return nil
		}
	}
	return nil
}

// each yields the records of c, until yield returns false.
func (c *chunk) each(yield func(eventstore.Record, error) bool) bool {
	pos := 0
	for o := c.first; o < c.next; o++ {
		size := int(recordSize(c.buf[pos:]))
		if !yield(eventstore.Record{Offset: o, Data: c.buf[pos+recordHead : pos+size]}, nil) {
			return false
		}
		pos += size
	}
	return true
}
