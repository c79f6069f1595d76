package filestore

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// repairSuffix ends the names of files that a repair has not finished.
const repairSuffix = segmentSuffix + ".new"

// Repaired is what a Repair has done.
type Repaired struct {
	Segments []string // that were damaged and are now kept aside
	Records  uint64   // that were saved from them
	Lost     uint64   // that were not; those cut off at the end of the newest segment are not known
	Cursor   bool     // the cursor was damaged, and is now before the oldest record
}

// Repair writes the damaged segments in cfg.Dir anew with what can be read of
// them, and puts the damaged files aside, where the next Open bounds them by
// DamagedBytes. A store repairs what it has to by itself; this saves it from
// finding the damage again. A crash during a repair loses nothing.
//
// Repair fails if a store has the folder open, or if cfg lacks a key or codec.
// It calls progress, unless that is nil, with the number of bytes that it has
// read and has to read.
func Repair(cfg Config, progress func(done, total int64)) (Repaired, error) {
	var r Repaired
	d, err := disk.OpenFolder(cfg.Dir)
	if err != nil {
		return r, fmt.Errorf("filestore: repair: %w", err)
	}
	return RepairOn(d, cfg, progress)
}

// RepairOn repairs the files in d, which it closes, instead of those in cfg.Dir.
// It is for package storetest.
func RepairOn(d disk.Dir, cfg Config, progress func(done, total int64)) (Repaired, error) {
	r, err := repairFolder(d, cfg, progress)
	if err = errors.Join(err, d.Close()); err != nil {
		return r, fmt.Errorf("filestore: repair: %w", err)
	}
	return r, nil
}

func repairFolder(d disk.Dir, cfg Config, progress func(done, total int64)) (r Repaired, err error) {
	v, err := look(d, cfg)
	if err != nil {
		return r, err
	}
	var total, done int64
	for _, info := range v.Segments {
		if info.Err != nil && !errors.Is(info.Err, errBadHeader) {
			return r, fmt.Errorf("segment %s: %w", info.Name, info.Err)
		}
		total += info.Size
	}
	for i, info := range v.Segments {
		if err := v.repair(i, &r); err != nil {
			return r, fmt.Errorf("segment %s: %w", info.Name, err)
		}
		if done += info.Size; progress != nil {
			progress(done, total)
		}
	}
	if v.CursorErr == nil {
		return r, nil
	}
	if errors.Is(v.CursorErr, errNewVersion) {
		return r, fmt.Errorf("cursor: %w", v.CursorErr)
	}
	r.Cursor = true
	oldest := uint64(0)
	if len(v.segments) > 0 {
		oldest = v.segments[0].first - 1
	}
	return r, saveCursor(d, oldest, true)
}

// repair rewrites segment i if it is damaged.
func (v *View) repair(i int, r *Repaired) error {
	g, info := v.segments[i], v.Segments[i]
	damaged := info.Err != nil
	for _, err := range v.Records(i) {
		var e *DamageError
		if err != nil && !errors.As(err, &e) {
			return err
		}
		damaged = damaged || err != nil && !e.Missing
	}
	if !damaged {
		return nil
	}
	w := rewriter{dir: v.dir, format: v.format.like(info)}
	if err := errors.Join(w.rewrite(v.Records(i), r), w.end()); err != nil {
		return err
	}
	if err := v.copyAside(g); err != nil {
		return err
	}
	r.Segments = append(r.Segments, info.Name)
	return v.replace(g, w.pieces)
}

// replace puts pieces in the place of the file of g. The original goes last,
// since until then it has what is not yet in its place.
func (v *View) replace(g *segment, pieces []uint64) error {
	inPlace := len(pieces) > 0 && pieces[0] == g.first
	for i, first := range pieces {
		if i == 0 && inPlace {
			continue
		}
		if err := v.dir.Rename(pieceName(first), segmentName(first)); err != nil {
			return err
		}
	}
	if err := v.dir.Sync(); err != nil {
		return err
	}
	var err error
	if inPlace {
		err = v.dir.Rename(pieceName(g.first), g.name())
	} else {
		err = v.dir.Remove(g.name())
	}
	return errors.Join(err, v.dir.Sync())
}

// copyAside keeps a copy of the file of g aside.
func (v *View) copyAside(g *segment) (err error) {
	from, err := v.dir.Open(g.name())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := v.dir.Create(asideName(g.name()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	b := make([]byte, maxChunkBytes)
	for pos := int64(0); pos < g.written; pos += int64(len(b)) {
		if b, err = readPieces(from, b[:min(maxChunkBytes, g.written-pos)], pos); err != nil {
			b = b[:cap(b)]
			clear(b) // nothing of it can be read
		}
		if len(b) == 0 {
			break
		}
		if _, err := to.WriteAt(b, pos); err != nil {
			return err
		}
	}
	return errors.Join(to.Sync(), v.dir.Sync())
}

func pieceName(first uint64) string { return fmt.Sprintf("%0*d%s", offsetDigits, first, repairSuffix) }

// like returns f for writing as a segment was written.
func (f *format) like(info SegmentInfo) *format {
	form := *f
	form.codec, form.key = nil, nil
	if i := slices.IndexFunc(f.codecs, func(c Codec) bool { return c.Name() == info.Codec }); i >= 0 {
		form.codec = f.codecs[i]
	}
	if i := slices.IndexFunc(f.keys, func(k *sealer) bool { return k.id == info.Key }); i >= 0 {
		form.key = f.keys[i]
	} else if info.Err != nil && len(f.keys) > 0 {
		form.key = f.keys[0] // its header is lost; it may have been secret
	}
	return &form
}

// A rewriter writes records to files that begin anew after each gap.
type rewriter struct {
	dir    disk.Dir
	format *format
	pieces []uint64 // the first offset of each file

	file        disk.File // or nil, before a record
	pos         int64
	first, next uint64 // offsets of the records in buf
	buf, packed []byte
}

// rewrite writes records and counts them.
func (w *rewriter) rewrite(records iter.Seq2[eventstore.Record, error], r *Repaired) error {
	for rec, err := range records {
		var e *DamageError
		switch {
		case err == nil:
			r.Records++
			err = w.add(rec)
		case errors.As(err, &e):
			if !e.Tail {
				r.Lost += e.Last - e.First + 1
			}
			err = w.end()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *rewriter) add(rec eventstore.Record) (err error) {
	if w.file == nil {
		if w.file, err = w.dir.Create(pieceName(rec.Offset)); err != nil {
			return err
		}
		w.pieces = append(w.pieces, rec.Offset)
		w.pos = w.format.headerSize()
		if _, err = w.file.WriteAt(w.format.segmentHeader(rec.Offset), 0); err != nil {
			return err
		}
	}
	if len(w.buf)+recordHead+len(rec.Data) > maxChunkBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.buf) == 0 {
		w.first = rec.Offset
	}
	w.buf, w.next = appendRecord(w.buf, rec.Offset, rec.Data), rec.Offset+1
	return nil
}

// flush writes what has gathered.
func (w *rewriter) flush() (err error) {
	if len(w.buf) == 0 {
		return nil
	}
	data := w.buf
	if w.format.packs() {
		if w.packed, err = w.format.pack(w.packed[:0], w.first, w.next-w.first, w.buf); err != nil {
			return err
		}
		data = w.packed
	}
	_, err = w.file.WriteAt(data, w.pos)
	w.pos += int64(len(data))
	w.buf = w.buf[:0]
	return err
}

// end ends the file.
func (w *rewriter) end() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	err := w.flush()
	w.file = nil
	return errors.Join(err, f.Sync(), f.Close())
}
