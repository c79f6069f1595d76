package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config] and [Device].
const (
	DefaultTimeout        = time.Second
	DefaultConnectTimeout = 5 * time.Second
	DefaultRetries        = 1
	DefaultPoll           = 5 * time.Second
	DefaultMaxGap         = 16 // registers
	DefaultMaxBitGap      = 64 // coils and discrete inputs
)

// An Opener opens the transport that a URL names. [Dial] is one.
type Opener func(ctx context.Context, url string) (Transport, error)

// Config configures a [Connector].
type Config struct {
	// URL is the bus of the devices that name none.
	//
	// On a network it is "tcp://host:502", "udp://host:502" or
	// "tls://host:802?ca=root.pem&cert=me.pem&key=me.key" (settings: ca for other
	// roots than the system's, cert and key to show a certificate, servername to
	// expect in the peer's, insecure=true not to verify it, dir that relative
	// paths start from), or RTU or ASCII frames in one of these: "rtuovertcp",
	// "rtuoverudp", "rtuovertls", "asciiovertcp" and so on.
	//
	// On a serial line it is "rtu:///dev/ttyUSB0?baud=9600&parity=N&stop=1" or
	// "ascii:///dev/ttyUSB0" (settings: baud 19200, data 8, parity N, E or O,
	// stop 1, rs485 to let the driver switch the direction, echo if the line
	// repeats what is sent).
	URL string

	// Devices are what is polled. Devices of the same bus share one connection
	// and are served one after the other; buses are served concurrently.
	Devices []Device

	// Timeout is how long a request waits for its answer. Zero: DefaultTimeout.
	// A line's transmission time is added.
	Timeout time.Duration

	// ConnectTimeout bounds connecting. Zero: DefaultConnectTimeout.
	ConnectTimeout time.Duration

	// Retries is how often an unanswered request to a device that answered
	// before is repeated. Zero: DefaultRetries. Negative: never.
	Retries int

	// Delay is the pause between two requests on a bus. Zero: none, beyond the
	// silence that RTU prescribes.
	Delay time.Duration

	// Open opens transports. Nil: Dial.
	Open Opener

	// Server, if not nil, makes the gateway a server (slave) besides.
	Server *Server

	// WrapResults returns the results of remote procedure calls as the reference
	// gateway does, {"result": {"value": 5}}, rather than as 5. Files set it.
	WrapResults bool
}

// A Device is a unit on a bus.
type Device struct {
	Name    string
	Profile string // device profile on the platform

	URL  string // of its bus; empty: Config.URL
	Unit uint8  // unit identifier (slave address); 1 to 247 on RTU

	// Poll is the time from poll to poll. Zero: DefaultPoll.
	Poll time.Duration

	// Timeout, Retries and Delay override those of Config. The longest Delay
	// of a bus applies to all of its devices.
	Timeout time.Duration
	Retries int
	Delay   time.Duration

	Registers []Register

	// Order and Quirks are those of the values that the methods get and set read
	// and write, which have no Register.
	Order  Order
	Quirks bool

	// RPC and AttributeUpdates are commands beside the writable registers.
	RPC              []Command
	AttributeUpdates []Command

	// SkipEmpty does not repeat a request that was not answered in time, and
	// SkipInvalid one whose answer was damaged, whatever Retries is.
	SkipEmpty, SkipInvalid bool

	// Reconnect says how the device's bus is connected again. The first of the
	// devices of a bus that names it counts for all.
	Reconnect Reconnect

	// MaxGap is the most unused registers that are read along to save a
	// request. Zero: DefaultMaxGap. Negative: none. MaxBitGap is the same for
	// coils and discrete inputs (DefaultMaxBitGap).
	MaxGap, MaxBitGap int

	// MaxRegisters is the most registers of one request, up to 125. Zero: 125.
	MaxRegisters int

	// Report is the report policy of registers that have none.
	Report *telemetry.ReportPolicy

	// Err is for functions that build devices: a connector refuses a device
	// whose Err is not nil, with this error.
	Err error
}

// A Reconnect says when a bus that cannot be reached is tried again: first after
// First, then after delays that double up to Longest, with some jitter. Zero: one
// second and one minute. These are also the delays between the probes of a device
// that does not answer. After so many Attempts in vain, the next come no sooner
// than Longest later. Zero: there is no such pause.
type Reconnect struct {
	First, Longest time.Duration
	Attempts       int
}

// Validate returns all that is wrong with c, or nil.
func (c Config) Validate() error {
	_, err := compile(c)
	return err
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.Retries == 0 {
		c.Retries = DefaultRetries
	}
	if c.Open == nil {
		c.Open = Dial
	}
	return c
}

func (d Device) withDefaults(c Config) Device {
	if d.URL == "" {
		d.URL = c.URL
	}
	if d.Timeout <= 0 {
		d.Timeout = c.Timeout
	}
	if d.Retries == 0 {
		d.Retries = c.Retries
	}
	if d.Delay == 0 {
		d.Delay = c.Delay
	}
	if d.Poll == 0 {
		d.Poll = DefaultPoll
	}
	if d.MaxGap == 0 {
		d.MaxGap = DefaultMaxGap
	}
	if d.MaxBitGap == 0 {
		d.MaxBitGap = DefaultMaxBitGap
	}
	if d.MaxRegisters == 0 {
		d.MaxRegisters = maxReadRegisters
	}
	return d
}

// validate checks what does not belong to a single register.
func (d Device) validate() error {
	switch {
	case d.Err != nil:
		return d.Err
	case d.Name == "":
		return errors.New("name: missing")
	case d.Poll < 0:
		return fmt.Errorf("poll: %v is negative", d.Poll)
	case d.MaxRegisters < 1 || d.MaxRegisters > maxReadRegisters:
		return fmt.Errorf("maxRegisters: %d is not in 1 to %d", d.MaxRegisters, maxReadRegisters)
	case len(d.Registers) == 0 && len(d.RPC) == 0 && len(d.AttributeUpdates) == 0:
		return errors.New("registers: none")
	}
	return nil
}
