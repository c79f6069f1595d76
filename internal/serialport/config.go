package serialport

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnsupported is returned by Open on systems without support for serial lines,
// or for a setting that this system does not have.
var ErrUnsupported = errors.New("serialport: not supported on this system")

// A Parity is the parity bit of a character.
type Parity uint8

// The parities.
const (
	NoParity Parity = iota
	EvenParity
	OddParity
)

// Config describes a line. The zero value of every field but Path works: 19200
// baud, 8 data bits, no parity, 1 stop bit.
type Config struct {
	Path     string // the device, such as /dev/ttyUSB0 or COM3
	Baud     int    // bits per second
	DataBits int    // 5 to 8
	Parity   Parity
	StopBits int  // 1 or 2
	RTSCTS   bool // flow control by the lines RTS and CTS
	XONXOFF  bool // flow control by the characters XON and XOFF
	RS485    bool // let the driver switch an RS-485 transceiver (Linux: TIOCSRS485)
}

// The defaults of [Config].
const (
	DefaultBaud     = 19200
	DefaultDataBits = 8
	DefaultStopBits = 1
)

func (c Config) withDefaults() Config {
	if c.Baud == 0 {
		c.Baud = DefaultBaud
	}
	if c.DataBits == 0 {
		c.DataBits = DefaultDataBits
	}
	if c.StopBits == 0 {
		c.StopBits = DefaultStopBits
	}
	return c
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Path == "":
		return errors.New("serialport: no device is named")
	case c.Baud < 50 || c.Baud > 4_000_000:
		return fmt.Errorf("serialport: %s: baud rate %d is not in 50 to 4000000", c.Path, c.Baud)
	case c.DataBits < 5 || c.DataBits > 8:
		return fmt.Errorf("serialport: %s: %d data bits are not in 5 to 8", c.Path, c.DataBits)
	case c.Parity > OddParity:
		return fmt.Errorf("serialport: %s: unknown parity %d", c.Path, c.Parity)
	case c.StopBits < 1 || c.StopBits > 2:
		return fmt.Errorf("serialport: %s: %d stop bits are not 1 or 2", c.Path, c.StopBits)
	}
	return nil
}

// CharTime returns how long one character takes on the line: its start, data,
// parity and stop bits.
func (c Config) CharTime() time.Duration {
	c = c.withDefaults()
	bits := 1 + c.DataBits + c.StopBits
	if c.Parity != NoParity {
		bits++
	}
	return time.Duration(bits) * time.Second / time.Duration(c.Baud)
}
