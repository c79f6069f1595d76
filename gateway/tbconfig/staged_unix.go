//go:build !windows

package tbconfig

import (
	"errors"
	"os"
)

// syncFolder makes renames in dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
