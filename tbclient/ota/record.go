package ota

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

// Phases of a package, as the record keeps them for the next process.
const (
	downloading = "downloading" // the file holds the beginning of it
	installing  = "installing"  // Install was called
	installed   = "installed"   // and returned
	notWorking  = "failed"      // or failed
)

// A record is what a process leaves to the next.
type record struct {
	identity
	Phase  string `json:"phase"`
	Reason string `json:"reason,omitempty"` // of notWorking
}

// files are the two files of an Updater.
type files struct {
	image, record string
}

func newFiles(folder, kind string) files {
	return files{filepath.Join(folder, kind+".bin"), filepath.Join(folder, kind+".json")}
}

// load returns the record, or an empty one if there is none that makes sense.
func (f files) load() record {
	var r record
	doc, err := os.ReadFile(f.record)
	if err != nil || json.Unmarshal(doc, &r) != nil {
		return record{}
	}
	return r
}

func (f files) save(r record) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(f.record, doc); err != nil {
		return fmt.Errorf("keep the state of the update: %w", err)
	}
	return nil
}

// discard removes the image, and the record.
func (f files) discard() error {
	return errors.Join(remove(f.image), remove(f.record))
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
