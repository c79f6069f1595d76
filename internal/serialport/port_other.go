//go:build !linux && !windows && !darwin && !freebsd && !openbsd

package serialport

import "time"

// A Port is an open serial line. This system has none.
type Port struct{}

// Open fails with [ErrUnsupported].
func Open(Config) (*Port, error) { return nil, ErrUnsupported }

// Read fails with [ErrUnsupported].
func (p *Port) Read([]byte) (int, error) { return 0, ErrUnsupported }

// Write fails with [ErrUnsupported].
func (p *Port) Write([]byte) (int, error) { return 0, ErrUnsupported }

// SetDeadline fails with [ErrUnsupported].
func (p *Port) SetDeadline(time.Time) error { return ErrUnsupported }

// SetReadDeadline fails with [ErrUnsupported].
func (p *Port) SetReadDeadline(time.Time) error { return ErrUnsupported }

// SetWriteDeadline always fails.
func (p *Port) SetWriteDeadline(time.Time) error { return ErrUnsupported }

// Flush fails with [ErrUnsupported].
func (p *Port) Flush() error { return ErrUnsupported }

// Close does nothing.
func (p *Port) Close() error { return nil }
