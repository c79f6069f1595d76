package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const lockName = "lock"

type folder struct {
	path string
	lock *os.File
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
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		return nil, fmt.Errorf("folder %s is in use: %w", path, err)
	}
	return &folder{path: path, lock: lock}, nil
}

func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
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
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

func (d *folder) Open(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

func (d *folder) Rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d *folder) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d *folder) Sync() error { return syncFolder(d.path) }

func (d *folder) Close() error { return d.lock.Close() }

type file struct{ *os.File }

func (f *file) Sync() error { return syncData(f.File) }
