package serialport_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gridlinks/iot-gateway/internal/serialport"
)

// pty returns the near end of a pseudo terminal and the path of the far one.
func pty(t *testing.T) (near *os.File, path string) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = near.Close() })
	raw, err := near.SyscallConn()
	require.NoError(t, err)
	var n int
	require.NoError(t, raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, err)
	return near, fmt.Sprintf("/dev/pts/%d", n)
}

func open(t *testing.T, cfg serialport.Config) *serialport.Port {
	t.Helper()
	p, err := serialport.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestBytesPassUnchanged(t *testing.T) {
	near, path := pty(t)
	p := open(t, serialport.Config{Path: path})
	want := make([]byte, 256)
	for i := range want {
		want[i] = byte(i)
	}
	_, err := near.Write(want)
	require.NoError(t, err)
	var got []byte
	buf := make([]byte, 300)
	require.NoError(t, p.SetDeadline(time.Now().Add(5*time.Second)))
	for len(got) < len(want) {
		n, err := p.Read(buf)
		require.NoError(t, err)
		got = append(got, buf[:n]...)
	}
	require.Equal(t, want, got)

	_, err = p.Write([]byte("\r\n\x03\x04"))
	require.NoError(t, err)
	n, err := near.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "\r\n\x03\x04", string(buf[:n]))
}

func TestAReadEndsAtItsDeadlineAndWithClose(t *testing.T) {
	_, path := pty(t)
	p := open(t, serialport.Config{Path: path})
	require.NoError(t, p.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
	began := time.Now()
	_, err := p.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)

	require.NoError(t, p.SetReadDeadline(time.Time{}))
	time.AfterFunc(30*time.Millisecond, func() { _ = p.Close() })
	_, err = p.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestFlushDiscardsWhatWasReceived(t *testing.T) {
	near, path := pty(t)
	p := open(t, serialport.Config{Path: path})
	_, err := near.WriteString("stale")
	require.NoError(t, err)
	time.Sleep(20 * time.Millisecond) // for the kernel to deliver it
	require.NoError(t, p.Flush())
	_, err = near.WriteString("new")
	require.NoError(t, err)
	require.NoError(t, p.SetReadDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 20)
	n, err := p.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "new", string(buf[:n]))
}

// TestHighDescriptors guards against select, which cannot wait for more than 1024.
func TestHighDescriptors(t *testing.T) {
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < 1200 {
		t.Skipf("only %d file descriptors are allowed", limit.Cur)
	}
	near, path := pty(t)
	for range 1100 {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
	}
	p := open(t, serialport.Config{Path: path})
	_, err := near.WriteString("x")
	require.NoError(t, err)
	require.NoError(t, p.SetReadDeadline(time.Now().Add(5*time.Second)))
	n, err := p.Read(make([]byte, 4))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestLineSettingsReachTheDriver(t *testing.T) {
	near, path := pty(t)
	open(t, serialport.Config{Path: path, Baud: 9600, DataBits: 7, Parity: serialport.OddParity, StopBits: 2, RTSCTS: true, XONXOFF: true})
	raw, err := near.SyscallConn()
	require.NoError(t, err)
	var got *unix.Termios
	require.NoError(t, raw.Control(func(fd uintptr) { got, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }))
	require.NoError(t, err)
	require.EqualValues(t, unix.B9600, got.Cflag&unix.CBAUD)
	require.NotZero(t, got.Cflag&unix.CSTOPB)
	require.NotZero(t, got.Cflag&unix.PARODD)
	require.NotZero(t, got.Cflag&unix.CRTSCTS)
	require.NotZero(t, got.Iflag&unix.IXON)
	require.Zero(t, got.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG))
}

func TestOpenNamesTheDeviceAndTheFault(t *testing.T) {
	for want, cfg := range map[string]serialport.Config{
		"no device is named": {},
		"/nowhere/tty":       {Path: "/nowhere/tty"},
		"baud rate 12":       {Path: "x", Baud: 12},
		"baud rate 12345: serialport: not supported": {Path: "/dev/ptmx", Baud: 12345},
		"9 data bits":            {Path: "x", DataBits: 9},
		"3 stop bits":            {Path: "x", StopBits: 3},
		"unknown parity 7":       {Path: "x", Parity: 7},
		"/dev/ptmx: RS-485 mode": {Path: "/dev/ptmx", RS485: true},
		os.DevNull:               {Path: os.DevNull},
	} {
		_, err := serialport.Open(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestALineIsOpenedOnce(t *testing.T) {
	_, path := pty(t)
	p := open(t, serialport.Config{Path: path})
	_, err := serialport.Open(serialport.Config{Path: path})
	require.ErrorContains(t, err, path+": in use")
	require.NoError(t, p.Close())
	open(t, serialport.Config{Path: path})
}

func TestCharTime(t *testing.T) {
	require.Equal(t, time.Second*10/9600, serialport.Config{Baud: 9600}.CharTime())
	require.Equal(t, time.Second*12/19200, serialport.Config{Parity: serialport.EvenParity, StopBits: 2}.CharTime())
}
