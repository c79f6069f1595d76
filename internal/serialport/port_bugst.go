//go:build windows || darwin || freebsd || openbsd

package serialport

import (
	"fmt"
	"os"
	"sync"
	"time"

	"go.bug.st/serial"
)

// slice is the longest that a read waits before it looks at its deadline again.
const slice = 100 * time.Millisecond

// A Port is an open serial line. One goroutine may read while another writes;
// SetDeadline, Flush and Close may be called at any time.
type Port struct {
	port serial.Port

	mu       sync.Mutex
	deadline time.Time
}

// Open opens and configures a line, and discards what it had received.
func Open(cfg Config) (*Port, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if cfg.RS485 {
		return nil, fmt.Errorf("serialport: %s: RS-485 mode: %w", cfg.Path, ErrUnsupported)
	}
	if cfg.RTSCTS || cfg.XONXOFF {
		return nil, fmt.Errorf("serialport: %s: flow control: %w", cfg.Path, ErrUnsupported)
	}
	mode := &serial.Mode{BaudRate: cfg.Baud, DataBits: cfg.DataBits}
	switch cfg.Parity {
	case EvenParity:
		mode.Parity = serial.EvenParity
	case OddParity:
		mode.Parity = serial.OddParity
	}
	if cfg.StopBits == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	port, err := serial.Open(cfg.Path, mode)
	if err != nil {
		return nil, fmt.Errorf("serialport: %s: %w", cfg.Path, err)
	}
	p := &Port{port: port}
	if err := p.Flush(); err != nil {
		_ = port.Close() // the cause is in err
		return nil, fmt.Errorf("serialport: %s: %w", cfg.Path, err)
	}
	return p, nil
}

// Read reads what has arrived, and waits for it until the read deadline, when it
// fails with os.ErrDeadlineExceeded. A deadline that is set while it waits takes
// effect within a tenth of a second.
func (p *Port) Read(b []byte) (int, error) {
	for len(b) > 0 {
		wait, err := p.wait()
		if err != nil {
			return 0, err
		}
		if err := p.port.SetReadTimeout(wait); err != nil {
			return 0, err
		}
		if n, err := p.port.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

func (p *Port) wait() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deadline.IsZero() {
		return slice, nil
	}
	left := time.Until(p.deadline)
	if left <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return min(max(left, time.Millisecond), slice), nil
}

// Write writes all of b.
func (p *Port) Write(b []byte) (int, error) { return p.port.Write(b) }

// SetDeadline bounds the waiting of reads. Writes wait for the driver.
func (p *Port) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline bounds the waiting of reads.
func (p *Port) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

// SetWriteDeadline has no effect on this system.
func (p *Port) SetWriteDeadline(time.Time) error { return nil }

// Flush discards what was received and not read.
func (p *Port) Flush() error { return p.port.ResetInputBuffer() }

// Close closes the line. It ends reads that are under way.
func (p *Port) Close() error { return p.port.Close() }
