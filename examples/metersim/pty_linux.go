package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openPTY makes a pseudo terminal and a link to it. The far end is kept open, so that
// programs may come and go; the link goes with the near end.
func openPTY(path string) (io.ReadWriteCloser, error) {
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	far, err := unlock(near)
	if err == nil {
		err = os.Symlink(far.Name(), path)
	}
	if err != nil {
		_ = near.Close() // err says more
		if far != nil {
			_ = far.Close()
		}
		return nil, err
	}
	return &pty{File: near, far: far, link: path}, nil
}

// unlock opens the far end of near in raw mode.
func unlock(near *os.File) (*os.File, error) {
	raw, err := near.SyscallConn()
	if err != nil {
		return nil, err
	}
	number := 0
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if failed == nil {
			failed = unix.IoctlSetTermios(int(fd), unix.TCSETS, &unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL})
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
}

type pty struct {
	*os.File
	far  *os.File
	link string
}

// Close implements io.Closer.
func (p *pty) Close() error {
	_, _ = os.Remove(p.link), p.far.Close() // the near end's error counts
	return p.File.Close()
}
