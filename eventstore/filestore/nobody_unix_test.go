//go:build unix

package filestore_test

import (
	"errors"
	"os"
	"syscall"
)

// becomeNobody gives up the rights of root, and gives dir to who is left. It
// returns the name by which dir can be reached then.
func becomeNobody(dir string) (string, error) {
	if os.Getuid() != 0 {
		return dir, nil
	}
	const nobody = 65534
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chdir(dir)); err != nil {
		return "", err
	}
	return ".", errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}
