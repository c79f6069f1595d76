package serialport

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Port is an open serial line. One goroutine may read while another writes;
// SetDeadline, Flush and Close may be called at any time.
type Port struct {
	file *os.File
	raw  syscall.RawConn
}

// Open opens and configures a line, and discards what it had received. It does
// not wait for a carrier. The line is locked (flock) until Close against programs
// that ask for the lock, as this one does.
func Open(cfg Config) (*Port, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	file, err := os.OpenFile(cfg.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("serialport: %w", err)
	}
	p, err := newPort(file, cfg)
	if err != nil {
		_ = file.Close() // the cause is in err
		return nil, fmt.Errorf("serialport: %s: %w", cfg.Path, err)
	}
	return p, nil
}

func newPort(file *os.File, cfg Config) (*Port, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &Port{file: file, raw: raw}
	if err := file.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("not a device that can be waited for: %w", err)
	}
	t, err := termios(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.control("in use", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return nil, err
	}
	if err := p.control("set up", func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, t) }); err != nil {
		return nil, err
	}
	if cfg.RS485 {
		if err := p.control("RS-485 mode", enableRS485); err != nil {
			return nil, err
		}
	}
	return p, p.Flush()
}

// termios returns the settings of a raw line: no echo, no translation.
func termios(cfg Config) (*unix.Termios, error) {
	speed, ok := speeds()[cfg.Baud]
	if !ok {
		return nil, fmt.Errorf("baud rate %d: %w", cfg.Baud, ErrUnsupported)
	}
	sizes := [...]uint32{5: unix.CS5, 6: unix.CS6, 7: unix.CS7, 8: unix.CS8}
	t := &unix.Termios{Cflag: unix.CREAD | unix.CLOCAL | sizes[cfg.DataBits] | speed, Ispeed: speed, Ospeed: speed}
	if cfg.StopBits == 2 {
		t.Cflag |= unix.CSTOPB
	}
	switch cfg.Parity {
	case EvenParity:
		t.Cflag |= unix.PARENB
		t.Iflag |= unix.INPCK
	case OddParity:
		t.Cflag |= unix.PARENB | unix.PARODD
		t.Iflag |= unix.INPCK
	}
	if cfg.RTSCTS {
		t.Cflag |= unix.CRTSCTS
	}
	if cfg.XONXOFF {
		t.Iflag |= unix.IXON | unix.IXOFF
		t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = 0x11, 0x13
	}
	t.Cc[unix.VMIN] = 1
	return t, nil
}

func speeds() map[int]uint32 {
	return map[int]uint32{
		50: unix.B50, 75: unix.B75, 110: unix.B110, 134: unix.B134, 150: unix.B150, 200: unix.B200, 300: unix.B300,
		600: unix.B600, 1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600,
		19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400,
		460800: unix.B460800, 500000: unix.B500000, 576000: unix.B576000, 921600: unix.B921600,
		1000000: unix.B1000000, 1500000: unix.B1500000, 2000000: unix.B2000000,
	}
}

// serialRS485 is struct serial_rs485 of linux/serial.h.
type serialRS485 struct {
	flags              uint32
	delayRTSBeforeSend uint32 // milliseconds
	delayRTSAfterSend  uint32
	_                  [5]uint32
}

// The flags of serialRS485.
const (
	rs485Enabled   = 1 << 0
	rs485RTSOnSend = 1 << 1
)

func enableRS485(fd int) error {
	mode := serialRS485{flags: rs485Enabled | rs485RTSOnSend}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSRS485, uintptr(unsafe.Pointer(&mode)))
	if errno != 0 {
		return errno
	}
	return nil
}

func (p *Port) control(what string, f func(fd int) error) error {
	var err error
	if cerr := p.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Read reads what has arrived, and waits for it until the read deadline, when it
// fails with os.ErrDeadlineExceeded.
func (p *Port) Read(b []byte) (int, error) { return p.file.Read(b) }

// Write writes all of b. It returns when the driver has it, which is before it is
// on the line.
func (p *Port) Write(b []byte) (int, error) { return p.file.Write(b) }

// SetDeadline bounds the waiting of reads and writes, also of those under way.
func (p *Port) SetDeadline(t time.Time) error { return p.file.SetDeadline(t) }

// SetReadDeadline bounds the waiting of reads, also of one under way.
func (p *Port) SetReadDeadline(t time.Time) error { return p.file.SetReadDeadline(t) }

// SetWriteDeadline bounds the writes under way and to come.
func (p *Port) SetWriteDeadline(t time.Time) error { return p.file.SetWriteDeadline(t) }

// Flush discards what was received and not read.
func (p *Port) Flush() error {
	return p.control("flush", func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

// Close closes the line. It ends reads and writes that are under way.
func (p *Port) Close() error { return p.file.Close() }
