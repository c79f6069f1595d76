//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var errReplaced = errors.New("another folder is in its place")

// sameFile returns an error if the file at path is not the one of held.
func sameFile(path string, held os.FileInfo) error {
	there, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the folder of the store is gone or closed: %w", err)
	}
	if !os.SameFile(there, held) {
		return fmt.Errorf("the folder %s of the store is gone: %w", filepath.Dir(path), errReplaced)
	}
	return nil
}
