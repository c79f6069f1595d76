package ftp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// files is a compiled Path.
type files struct {
	Path
	pattern    pattern
	key        string // of its files in the journal, before their paths
	compatible bool

	name, profile          template
	timeseries, attributes []point
	strings                expr.Interner

	settling map[string]settling // files that have changed lately
	blamed   map[string]string   // what was logged of a file, until it is gone or good
}

// A settling file has been as it is since a time.
type settling struct {
	remote
	since time.Time
}

func compilePath(p Path, compatible bool) (*files, error) {
	f := &files{Path: p, compatible: compatible, settling: make(map[string]settling), blamed: make(map[string]string)}
	var errs [4]error
	f.pattern, errs[0] = compilePattern(p.Pattern)
	if p.Device == "" && p.Converter == nil {
		errs[1] = errors.New("devicePatternName: is missing")
	}
	f.name, f.profile = compileTemplate(p.Device, compatible), compileTemplate(p.Profile, compatible)
	f.timeseries, errs[2] = compilePoints(p, "timeseries", p.Timeseries, compatible)
	f.attributes, errs[3] = compilePoints(p, "attributes", p.Attributes, compatible)
	if p.After == Move && p.MoveTo == "" {
		errs[1] = errors.Join(errs[1], errors.New("moveTo: is missing"))
	}
	return f, errors.Join(errs[:]...)
}

// number gives the files of each entry a name in the journal.
func number(list []*files) {
	seen := make(map[string]int)
	for _, p := range list {
		p.key = p.Pattern + "#" + strconv.Itoa(seen[p.Pattern]) + ":"
		seen[p.Pattern]++
	}
}

// poll looks for files that have changed, and delivers them.
func (r *run) poll(ctx context.Context, p *files, t *poll.Turn) error {
	found, err := p.pattern.find(ctx, r.session)
	if err != nil {
		return down(err)
	}
	if !p.Unsorted {
		slices.SortStableFunc(found, func(a, b remote) int { return b.time.Compare(a.time) })
	}
	there := make(map[string]bool, len(found))
	for _, f := range found {
		there[f.path] = true
	}
	for _, f := range found {
		err := r.file(ctx, p, f, t)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case !isRefusal(err):
			return down(fmt.Errorf("file %q: %w", f.path, err))
		default:
			r.blame(p, f.path, err)
		}
		if err := t.Yield(ctx); err != nil {
			return err
		}
	}
	for name := range p.blamed {
		if !there[name] {
			delete(p.blamed, name)
		}
	}
	for name := range p.settling {
		if !there[name] {
			delete(p.settling, name)
		}
	}
	return r.journal.forget(p.key, there, time.Now())
}

// down marks err as the end of the session unless the server goes on.
func down(err error) error {
	if isRefusal(err) {
		return err
	}
	return poll.Down(err)
}

// blame logs what is wrong with a file, once.
func (r *run) blame(p *files, name string, err error) {
	if p.blamed[name] != err.Error() {
		p.blamed[name] = err.Error()
		r.log.Warn("a file is not delivered as configured", slog.String("file", name), slog.Any("error", err))
	}
}

// file delivers a file if it has changed.
func (r *run) file(ctx context.Context, p *files, f remote, t *poll.Turn) error {
	key := p.key + f.path
	st, known := r.journal.get(key)
	if known && st.Open != nil {
		if err := r.resume(ctx, p, f, &st, t); err != nil {
			return err
		}
	}
	at := f.time.UnixMilli()
	if known && st.Open == nil && st.Size == f.size && st.Time == at {
		return r.after(ctx, p, f, &st)
	}
	if !p.settled(f, time.Now()) {
		return nil
	}
	data, from, err := r.read(ctx, p, f, &st)
	if err != nil {
		if !isRefusal(err) {
			return err
		}
		// It has changed, and cannot be read before it changes again.
		st.Size, st.Time, st.Faulty, st.Open = f.size, at, true, nil
		return errors.Join(err, r.journal.put(key, &st, false))
	}
	st.Open = &delivery{
		From: from, End: from + int64(len(data)), Hash: hash(data), Base: max(time.Now().UnixMilli(), r.last+1),
		Size: max(f.size, from+int64(len(data))), Time: at,
	}
	if err := r.journal.put(key, &st, true); err != nil {
		return fmt.Errorf("%w", err)
	}
	if err := r.deliver(ctx, p, f, &st, data, t); err != nil {
		return err
	}
	return r.after(ctx, p, f, &st)
}

// settled reports whether a file has not changed for long enough.
func (p *files) settled(f remote, now time.Time) bool {
	if p.Settle <= 0 {
		return true
	}
	s, ok := p.settling[f.path]
	if !ok || s.size != f.size || !s.time.Equal(f.time) {
		p.settling[f.path] = settling{f, now}
		return false
	}
	return now.Sub(s.since) >= p.Settle
}

// lines reports whether a path is read from where it ended.
func (p *files) partial(name string) bool {
	return p.Partial && p.Converter == nil && kindOf(name) != jsonFile
}

// read reads what is to be delivered of a file, and returns where that begins.
func (r *run) read(ctx context.Context, p *files, f remote, st *fileState) (data []byte, from int64, err error) {
	if p.partial(f.path) && st.Offset > 0 && f.size >= st.Offset {
		if f.size-st.Offset > p.MaxBytes {
			return nil, 0, tooLarge(f.size-st.Offset, p.MaxBytes)
		}
		data, err = r.session.Read(ctx, f.path, st.Offset-st.Bytes, p.MaxBytes+st.Bytes)
		if err != nil {
			return nil, 0, err
		}
		if int64(len(data)) >= st.Bytes && hash(data[:st.Bytes]) == st.Check {
			return data[st.Bytes:], st.Offset, nil
		}
		st.Line = ""
	}
	if f.size > p.MaxBytes {
		return nil, 0, tooLarge(f.size, p.MaxBytes)
	}
	if f.size < st.Offset {
		st.Line = ""
	}
	st.Offset, st.Header = 0, ""
	data, err = r.session.Read(ctx, f.path, 0, p.MaxBytes)
	return data, 0, err
}

func tooLarge(size, limit int64) error {
	return &Refusal{Text: fmt.Sprintf("%d bytes are more than the maxFileSize of %d", size, limit)}
}

// resume delivers the rest of what was being delivered when the gateway ended, if the
// file still has it.
func (r *run) resume(ctx context.Context, p *files, f remote, st *fileState, t *poll.Turn) error {
	open := st.Open
	n := open.End - open.From
	if f.size < open.End || n < 0 {
		st.Open = nil
		return nil
	}
	data, err := r.session.Read(ctx, f.path, open.From, max(p.MaxBytes, f.size-open.From)+p.MaxBytes)
	if err != nil {
		return err
	}
	if int64(len(data)) < n || hash(data[:n]) != open.Hash {
		st.Open = nil
		return nil
	}
	return r.deliver(ctx, p, f, st, data[:n], t)
}

// batchRows is how many rows are submitted together.
const batchRows = 500

// deliver submits the rows of data, which st.Open is about, and notes each time that
// some of them are durable.
func (r *run) deliver(ctx context.Context, p *files, f remote, st *fileState, data []byte, t *poll.Turn) error {
	open := st.Open
	var c *content
	var fault error
	bad, rows := 0, 0
	if p.Converter != nil {
		fault = r.custom(ctx, p, f, open, data, t)
	} else if c, fault = p.open(f.path, data, st.header(open)); fault == nil {
		c.skip(st.Line)
		rows = c.len()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for open.Rows < rows {
		n := min(batchRows, rows-open.Rows)
		lost, err := r.rows(ctx, c, open.Rows, n, open.Base, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fault, bad = worse(fault, err), bad+lost
		open.Rows += n
		if open.Rows < rows {
			if err := r.journal.put(p.key+f.path, st, false); err != nil {
				return err
			}
		}
	}
	r.last = max(r.last, open.Base+int64(max(rows-1, 0)))
	r.c.files.Add(1)
	r.c.rows.Add(uint64(rows)) //nolint:gosec // not negative
	r.verdict(p, f, c, fault, bad)
	st.finish(p.partial(f.path), c, data, fault != nil && !connector.IsInvalid(fault), r.last)
	return r.journal.put(p.key+f.path, st, false)
}

// worse returns the error that counts: one of the conversion, which keeps a file where
// it is, rather than one of data that nobody can take, which would change nothing.
func worse(a, b error) error {
	if a == nil || b != nil && connector.IsInvalid(a) && !connector.IsInvalid(b) {
		return b
	}
	return a
}

// verdict counts and logs what is wrong with a file.
func (r *run) verdict(p *files, f remote, c *content, fault error, bad int) {
	switch {
	case fault != nil && bad > 0:
		r.c.malformed.Add(uint64(bad)) //nolint:gosec // not negative
		r.blame(p, f.path, fmt.Errorf("%d rows are left out, the first because %w", bad, fault))
	case fault != nil:
		r.c.malformed.Add(1)
		r.blame(p, f.path, fault)
	case c != nil && c.row.missing != "":
		r.blame(p, f.path, fmt.Errorf("column %q is missing, and the keys that need it are left out", c.row.missing))
	default:
		delete(p.blamed, f.path)
	}
}

// header returns the first line of the table that a delivery is a part of.
func (s *fileState) header(open *delivery) string {
	if open.From == 0 {
		return ""
	}
	return s.Header
}

// skip leaves out the first line if it was delivered before it had an end.
func (c *content) skip(line string) {
	if line != "" && len(c.lines) > 0 && hash(c.lines[0].text) == line {
		c.lines = c.lines[1:]
	}
}

// finish notes that the delivery is over.
func (s *fileState) finish(partial bool, c *content, data []byte, faulty bool, last int64) {
	open := s.Open
	s.Size, s.Time, s.Open, s.Faulty, s.Last, s.Missing = open.Size, open.Time, nil, faulty, last, 0
	if !partial || c == nil {
		return
	}
	ended := bytes.LastIndexByte(data, '\n') + 1 // the last line may grow
	s.Offset = open.From + int64(ended)
	s.Header = c.header
	if ended > 0 {
		s.Bytes = int64(min(ended, checked))
		s.Check = hash(data[int64(ended)-s.Bytes : ended])
	}
	switch n := len(c.lines); {
	case n > 0 && !c.lines[n-1].ended:
		s.Line = hash(c.lines[n-1].text)
	case n > 0 || ended > 0:
		s.Line = ""
	}
}

// checked is how many bytes before the offset are looked at again.
const checked = 1024

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// rows submits n rows from one on, until they are durable. It returns how many could
// not be, and why the first of them.
func (r *run) rows(ctx context.Context, c *content, from, n int, base int64, t *poll.Turn) (bad int, fault error) {
	r.batch.Reset()
	for i := from; i < from+n; i++ {
		groups := len(r.batch.Groups())
		if err := c.convert(i, base+int64(i), &r.batch); err != nil {
			r.batch.Truncate(groups)
			fault, bad = cmp.Or(fault, fmt.Errorf("row %d: %w", i+1, err)), bad+1
		}
	}
	err := r.submit(ctx, t)
	if err == nil || ctx.Err() != nil {
		return bad, fault
	}
	if n == 1 {
		return 1, fmt.Errorf("row %d: %w", from+1, err)
	}
	bad, fault = 0, nil
	for i := range n { // one of them is at fault, which costs the others nothing
		lost, err := r.rows(ctx, c, from+i, 1, base, t)
		fault, bad = worse(fault, err), bad+lost
	}
	return bad, fault
}

// submit submits the batch until it is durable. An error is the batch's fault, or the
// end of ctx.
func (r *run) submit(ctx context.Context, t *poll.Turn) error {
	if r.batch.Empty() {
		return nil
	}
	var wait backoff.Backoff
	for {
		err := connector.Deliver(ctx, r.host, &r.batch)
		if err == nil || connector.IsInvalid(err) {
			return err
		}
		if wait.Wait(ctx) != nil {
			return ctx.Err()
		}
		if t.Yield(ctx) != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// custom converts a file by the path's own converter, of which a panic is an error.
func (r *run) custom(ctx context.Context, p *files, f remote, open *delivery, data []byte, t *poll.Turn) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the converter panicked: %v", x)
		}
	}()
	r.batch.Reset()
	fault := p.Converter.ConvertUplink(File{Path: f.path, Time: f.time, Content: data}, &r.batch)
	for _, g := range r.batch.Groups() {
		for i := range g.Telemetry {
			g.Telemetry[i].TS = cmp.Or(g.Telemetry[i].TS, open.Base)
		}
	}
	return cmp.Or(fault, r.submit(ctx, t))
}

// after does with a delivered file what is configured. One that is not as it was
// delivered, or was not delivered as a whole, stays.
func (r *run) after(ctx context.Context, p *files, f remote, st *fileState) error {
	if p.After == Keep || st.Faulty {
		return nil
	}
	now, err := r.session.Stat(ctx, f.path, Entry{Name: path.Base(f.path), Link: true})
	if err != nil {
		return err
	}
	if now.Size != st.Size || !now.Time.IsZero() && now.Time.UnixMilli() != st.Time {
		return nil
	}
	if p.After == Delete {
		err = r.session.Delete(ctx, f.path)
	} else {
		err = r.session.Rename(ctx, f.path, r.target(ctx, p, f))
	}
	if err != nil {
		return fmt.Errorf("it was delivered, and stays: %w", err)
	}
	return r.journal.put(p.key+f.path, nil, false)
}

// target returns where a file moves to, which is not where another one is already.
func (r *run) target(ctx context.Context, p *files, f remote) string {
	to := path.Join(p.MoveTo, path.Base(f.path))
	if _, err := r.session.Stat(ctx, to, Entry{Name: path.Base(to), Link: true}); err != nil {
		return to
	}
	ext := path.Ext(to)
	return strings.TrimSuffix(to, ext) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) + ext
}
