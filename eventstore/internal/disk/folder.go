package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const lockName = "lock"

type folder struct {
	path string
	lock *os.File    // nil if the folder is only read
	held os.FileInfo // of lock
}

// OpenFolder opens the folder at path in the operating system's file system.
// It creates it, for its owner only, if it does not exist, and fails if another
// process has it open.
func OpenFolder(path string) (Dir, error) {
	if path == "" {
		return nil, errors.New("no folder given")
	}
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	lock, err := lockPatiently(filepath.Join(path, lockName))
	if err != nil {
		return nil, fmt.Errorf("folder %s is in use or cannot be locked: %w", path, err)
	}
	held, err := lock.Stat()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &folder{path: path, lock: lock, held: held}, nil
}

// lockPatiently tries more than once, since InUse takes the lock for a moment.
func lockPatiently(path string) (lock *os.File, err error) {
	for range 3 {
		if lock, err = lockFile(path); !errors.Is(err, errLocked) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return lock, err
}

// ReadFolder opens the folder at path for reading only. It takes no lock, so a
// store can be at work in the folder at the same time.
func ReadFolder(path string) (Dir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", path)
	}
	return &folder{path: path}, nil
}

// InUse reports whether a store has the folder at path open.
func InUse(path string) (bool, error) {
	name := filepath.Join(path, lockName)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := lockFile(name)
	if errors.Is(err, errLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, lock.Close()
}

func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

func (d *folder) List() ([]Entry, error) {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(files))
	for _, f := range files {
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() && f.Name() != lockName {
			entries = append(entries, Entry{Name: f.Name(), Size: info.Size(), Modified: info.ModTime()})
		}
	}
	return entries, nil
}

func (d *folder) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (d *folder) Open(name string) (File, error) { return d.open(name, os.O_RDONLY) }

func (d *folder) Edit(name string) (File, error) { return d.open(name, os.O_RDWR) }

func (d *folder) open(name string, flag int) (File, error) {
	if flag != os.O_RDONLY && d.lock == nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(d.path, name), Err: errReadOnly}
	}
	f, err := os.OpenFile(filepath.Join(d.path, name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

var errReadOnly = errors.New("the folder was opened for reading only")

func (d *folder) Rename(from, to string) error {
	if d.lock == nil {
		return errReadOnly
	}
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d *folder) Remove(name string) error {
	if d.lock == nil {
		return errReadOnly
	}
	return os.Remove(filepath.Join(d.path, name))
}

func (d *folder) Sync() error { return SyncFolder(d.path) }

func (d *folder) Check() error {
	if d.lock == nil {
		_, err := os.Stat(d.path)
		return err
	}
	return sameFile(filepath.Join(d.path, lockName), d.held)
}

func (d *folder) Held() error {
	if d.lock == nil {
		return nil
	}
	return linked(d.lock)
}

func (d *folder) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}

type file struct{ *os.File }

func (f *file) Sync() error { return syncData(f.File) }
