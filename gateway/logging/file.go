package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// FileConfig configures OpenFile. Path is required.
type FileConfig struct {
	Path     string
	MaxBytes int64         // size at which a new file begins; zero: 10 MiB; negative: any
	Every    time.Duration // age at which a new file begins; zero: any
	Backups  int           // older files that are kept; zero: 7; negative: none
	MaxAge   time.Duration // age at which an older file is deleted; zero: never
}

// A File is a file that is set aside when it is large or old enough, under its
// name with the time appended, such as "gateway.log.2026-11-22_05-00-00.000". Its
// methods may be called concurrently. It has no goroutine: what is due happens
// with the next Write.
type File struct {
	cfg FileConfig

	mu     sync.Mutex
	file   *os.File // nil: closed, or it could not be opened
	closed bool
	size   int64
	born   time.Time
	aside  time.Time // in the name of the newest file that was set aside
}

var _ io.WriteCloser = (*File)(nil)

// backupStamp is appended to the names of files that are set aside. It sorts by
// time.
const backupStamp = "2006-01-02_15-04-05.000"

// OpenFile opens, or creates, the file at cfg.Path, and its folder, and appends
// to it.
func OpenFile(cfg FileConfig) (*File, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 10 << 20
	}
	if cfg.Backups == 0 {
		cfg.Backups = 7
	}
	f := &File{cfg: cfg}
	if cfg.Path == "" {
		return nil, errors.New("logging: a log file needs a path")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o750); err != nil {
		return nil, fmt.Errorf("logging: %w", err)
	}
	if err := f.open(); err != nil {
		return nil, err
	}
	f.prune(time.Now())
	return f, nil
}

func (f *File) open() error {
	file, err := os.OpenFile(f.cfg.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("logging: %w", err), file.Close())
	}
	f.file, f.size, f.born = file, info.Size(), time.Now()
	if f.size > 0 {
		f.born = info.ModTime()
	}
	return nil
}

// Write appends b, which is never split over two files.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fmt.Errorf("logging: %s: %w", f.cfg.Path, os.ErrClosed)
	}
	now := time.Now()
	var rotation error
	if f.file != nil && f.due(now, len(b)) {
		rotation = f.rotate(now)
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	n, err := f.file.Write(b)
	f.size += int64(n)
	return n, errors.Join(err, rotation)
}

func (f *File) due(now time.Time, more int) bool {
	if f.size == 0 {
		return false
	}
	return f.cfg.MaxBytes > 0 && f.size+int64(more) > f.cfg.MaxBytes ||
		f.cfg.Every > 0 && now.Sub(f.born) >= f.cfg.Every
}

// rotate sets the file aside and deletes what is too much. If that fails, the
// present file goes on.
func (f *File) rotate(now time.Time) error {
	err := f.file.Close()
	f.file = nil
	if f.cfg.Backups < 0 {
		return errors.Join(err, os.Remove(f.cfg.Path))
	}
	// Each has a time of its own, also if there are many in a millisecond.
	f.aside = now.UTC().Truncate(time.Millisecond)
	if last := f.newest(); !f.aside.After(last) {
		f.aside = last.Add(time.Millisecond)
	}
	name := f.cfg.Path + "." + f.aside.Format(backupStamp)
	err = errors.Join(err, os.Rename(f.cfg.Path, name))
	f.prune(now)
	return err
}

// A backup is a file that was set aside.
type backup struct {
	name string
	at   time.Time
}

// backups returns the files that were set aside, the newest first.
func (f *File) backups() (all []backup) {
	entries, err := os.ReadDir(filepath.Dir(f.cfg.Path))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		suffix, ours := strings.CutPrefix(e.Name(), filepath.Base(f.cfg.Path)+".")
		if at, err := time.Parse(backupStamp, suffix); ours && err == nil {
			all = append(all, backup{e.Name(), at})
		}
	}
	slices.SortFunc(all, func(a, b backup) int { return b.at.Compare(a.at) })
	return all
}

// newest returns the time of the file that was set aside last. Those of an
// earlier run count, too.
func (f *File) newest() time.Time {
	if all := f.backups(); len(all) > 0 && all[0].at.After(f.aside) {
		return all[0].at
	}
	return f.aside
}

// prune deletes the files that were set aside and are too many or too old. One
// that cannot be deleted is tried again the next time.
func (f *File) prune(now time.Time) {
	for i, b := range f.backups() {
		if i >= max(f.cfg.Backups, 0) || f.cfg.MaxAge > 0 && now.Sub(b.at) > f.cfg.MaxAge {
			_ = os.Remove(filepath.Join(filepath.Dir(f.cfg.Path), b.name))
		}
	}
}

// Reopen closes the file and opens it again, for programs that rename it
// themselves, such as logrotate.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	var err error
	if f.file != nil {
		err = f.file.Close()
		f.file = nil
	}
	return errors.Join(err, f.open())
}

// Close closes the file. Close after Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
