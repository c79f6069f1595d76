package tbconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keptBackups is how many backups of one file are kept.
const keptBackups = 10

// A writing is a change of files that is on the medium but not in effect. Either
// commit or discard ends it. What lacks room or permission fails before anything
// has changed.
type writing struct {
	dir    string
	now    func() time.Time
	stamp  time.Time                                               // of tb_gateway.json, if not zero
	create func(path string, data []byte) (temp string, err error) // writes beside path
	staged []staged
}

type staged struct {
	path, temp string
	stamp      time.Time // of the file's modification, if not zero
	before     []byte
	existed    bool
}

// stage adds a file to w: the new content is written beside it. A content that
// the file has already is not written.
func (w *writing) stage(path string, data []byte, stamp time.Time) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s := staged{path: path, stamp: stamp, before: before, existed: err == nil}
	if s.existed && slices.Equal(before, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if s.temp, err = w.create(path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	w.staged = append(w.staged, s)
	return nil
}

// stagePretty is stage for a JSON document, which is indented for people.
func (w *writing) stagePretty(path string, doc []byte, stamp time.Time) error {
	var v json.RawMessage = doc
	text, err := pretty(v)
	if err != nil {
		return err
	}
	return w.stage(path, text, stamp)
}

// writeTemp writes data to a new file beside path, durably.
func writeTemp(path string, data []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// commit puts the new files in the place of the old ones, of which it keeps
// backups. After an error all have their old content.
func (w *writing) commit() error {
	for _, s := range w.staged {
		if !s.existed {
			continue
		}
		if err := w.backup(s.path, s.before); err != nil {
			w.discard()
			return fmt.Errorf("backup of %s: %w", s.path, err)
		}
	}
	for i, s := range w.staged {
		if err := s.replace(); err != nil {
			undone := w.undo(i)
			w.discard()
			return errors.Join(fmt.Errorf("write %s: %w", s.path, err), undone)
		}
	}
	w.staged = nil
	return nil
}

func (s staged) replace() error {
	if !s.stamp.IsZero() {
		if err := os.Chtimes(s.temp, s.stamp, s.stamp); err != nil {
			return err
		}
	}
	if err := os.Rename(s.temp, s.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(s.path))
}

// undo gives the first n files their old content.
func (w *writing) undo(n int) error {
	var errs []error
	for _, s := range w.staged[:n] {
		if !s.existed {
			errs = append(errs, os.Remove(s.path))
			continue
		}
		temp, err := writeTemp(s.path, s.before)
		if err == nil {
			err = os.Rename(temp, s.path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// discard removes what was not committed. It may be called after commit.
func (w *writing) discard() {
	for _, s := range w.staged {
		_ = os.Remove(s.temp)
	}
	w.staged = nil
}

// backup keeps data, the content of the file at path, as
// backup/<base>.backup.<unix seconds>.json, unless the latest backup is the same,
// and forgets the oldest ones.
func (w *writing) backup(path string, data []byte) error {
	dir := filepath.Join(w.dir, "backup")
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	old, err := backups(dir, base)
	if err != nil {
		return err
	}
	stamp := w.now().Unix()
	if len(old) > 0 {
		last := old[len(old)-1]
		if content, err := os.ReadFile(backupPath(dir, base, last)); err == nil && slices.Equal(content, data) {
			return nil
		}
		stamp = max(stamp, last+1)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := w.create(backupPath(dir, base, stamp), data)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, backupPath(dir, base, stamp)); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	for _, n := range old[:max(0, len(old)+1-keptBackups)] {
		if err := os.Remove(backupPath(dir, base, n)); err != nil {
			return err
		}
	}
	return nil
}

func backupPath(dir, base string, stamp int64) string {
	return filepath.Join(dir, base+".backup."+strconv.FormatInt(stamp, 10)+".json")
}

// backups returns the stamps of the backups of base, which is matched exactly,
// the oldest first.
func backups(dir, base string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	name := regexp.MustCompile(`^` + regexp.QuoteMeta(base) + `\.backup\.([0-9]{1,18})\.json$`)
	var stamps []int64
	for _, e := range entries {
		if m := name.FindStringSubmatch(e.Name()); m != nil {
			n, _ := strconv.ParseInt(m[1], 10, 64) // digits
			stamps = append(stamps, n)
		}
	}
	slices.Sort(stamps)
	return stamps, err
}
