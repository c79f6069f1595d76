package disk

import (
	"io"
	"time"
)

// An Entry is a file in a Dir.
type Entry struct {
	Name     string
	Size     int64
	Modified time.Time
}

// A Dir is the one folder that a store works in. Whoever holds it holds it
// alone.
//
// What Create, Rename and Remove do becomes durable with Sync, and the contents
// of a file with File.Sync, independently of each other.
type Dir interface {
	// List returns the files in the folder, in the order of their names.
	List() ([]Entry, error)

	// Create makes an empty file that only its owner can read, or empties the
	// one of that name.
	Create(name string) (File, error)

	// Open opens an existing file for reading. The error of a file that does
	// not exist is an fs.ErrNotExist.
	Open(name string) (File, error)

	// Edit opens an existing file for reading and writing.
	Edit(name string) (File, error)

	// Rename gives a file a new name, and replaces the one that had it.
	Rename(from, to string) error

	// Remove deletes a file.
	Remove(name string) error

	// Sync makes the names of the files durable.
	Sync() error

	// Check returns an error if the folder cannot be reached, or if there is
	// another one in its place, as when a medium was unmounted.
	Check() error

	// Held returns an error if the folder was removed, so that what is written
	// to its files is lost. It costs less than Check.
	Held() error

	// Close gives the folder up.
	Close() error
}

// A File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	// Truncate cuts the file to size bytes.
	Truncate(size int64) error

	// Sync makes the contents and the size of the file durable.
	Sync() error
}
