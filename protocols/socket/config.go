package socket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/internal/framing"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config].
const (
	DefaultPort           = 50000
	DefaultMaxConnections = 1000
	DefaultMaxBytes       = 64 << 10
	DefaultKeepAlive      = 30 * time.Second
	DefaultWriteTimeout   = 5 * time.Second
	DefaultReplyTimeout   = 5 * time.Second
)

// Config configures a connector. The zero value listens on TCP port 50000 of the
// loopback address.
type Config struct {
	UDP     bool   // datagrams rather than TCP
	Dial    bool   // connect to Address and Port rather than listen there
	Address string // host or IP; 127.0.0.1 if empty
	Port    int    // DefaultPort if zero; negative: any that is free

	Framing  Framing // of TCP
	MaxBytes int     // of a message; DefaultMaxBytes if zero

	MaxConnections int           // at a time; DefaultMaxConnections if zero
	IdleTimeout    time.Duration // after which a silent TCP connection is closed; zero: never
	KeepAlive      time.Duration // of TCP probes; DefaultKeepAlive if zero, none if negative
	WriteTimeout   time.Duration // DefaultWriteTimeout if zero

	// TLS encrypts TCP connections, if it is not nil: as a server if the
	// connector listens, and as a client if it connects. It is called for each
	// connection, or once when it begins to listen.
	TLS func() (*tls.Config, error)

	Devices []Device

	// Compatible converts as the Python gateway where that differs: zero bytes
	// are removed before any text is decoded, and what cannot be decoded is sent
	// as Python would show it.
	Compatible bool
}

// Framing says where a message of a stream ends. The zero Framing takes each read
// for one.
type Framing = framing.Format

// Length is a field with the length of a message.
type Length = framing.Length

// A Device is what messages of some addresses are about.
type Device struct {
	// Address is a pattern of "ip:port", in which * stands for anything, or a
	// regular expression for all of it. The messages of all addresses that match
	// are the device's. Empty means *.
	Address string

	Name     string
	Profile  string // "default" if empty
	Encoding string // of texts; see [Encodings]; UTF-8 if empty

	Timeseries []Datapoint
	Attributes []Datapoint
	Converter  UplinkConverter // instead of Timeseries and Attributes

	Requests []AttributeRequest
	Updates  []string // shared attributes that are written to the device
	RPCs     []RPC
}

// A Datapoint is some bytes of a message and their meaning.
type Datapoint struct {
	Key  string
	From int  // first byte; a negative number counts from the end
	To   *int // byte after the last one; nil or -1: the end; others below zero count from it

	// Type is what the text of the bytes is converted to: "string", "int",
	// "float", "bool" or "json". Empty means string.
	Type string

	// Decode takes the bytes for a number instead: "int" or "uint" of 1 to 8
	// bytes, "float" of 4 or 8. With LittleEndian the lowest byte comes first.
	Decode       string
	LittleEndian bool

	Report *telemetry.ReportPolicy // nil: that of the connector
}

// An AttributeRequest is a message that asks for attributes.
type AttributeRequest struct {
	Client bool // for client-side attributes rather than shared ones

	// Match says which messages ask, such as "${[0:3]==atr}": the text of the
	// bytes from 0 to 3 is atr.
	Match string

	// Names is the text of their names, such as "[3:]": all bytes from 3, with
	// commas between several names.
	Names string
}

// An RPC is a remote procedure call of the device: its parameters are written to
// it, a text as it is, and any other JSON as its text.
type RPC struct {
	Method    string
	WithReply bool

	// ReplyMatch says which message is the answer, as Match of AttributeRequest.
	// If it is empty the next message is, which then counts as data as well.
	ReplyMatch   string
	ReplyTimeout time.Duration // DefaultReplyTimeout if zero
}

func (c Config) withDefaults() Config {
	if c.Address == "" {
		c.Address = "127.0.0.1"
	}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	c.Port = max(c.Port, 0)
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	c.Framing.Max = c.MaxBytes
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = DefaultWriteTimeout
	}
	return c
}

// address returns what is listened on or connected to.
func (c Config) address() string { return net.JoinHostPort(c.Address, strconv.Itoa(c.Port)) }

func (c Config) network() string {
	if c.UDP {
		return "udp"
	}
	return "tcp"
}

// compile checks c and returns its devices. The error names every problem.
func (c Config) compile() ([]*device, error) {
	var errs []error
	fail := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if c.MaxBytes < 0 || c.MaxBytes > 1<<26 {
		fail("socket.maxBytes", fmt.Errorf("%d is not between 1 and 67108864", c.MaxBytes))
	} else {
		fail("socket.framing", c.Framing.Check())
	}
	if c.MaxConnections < 0 {
		fail("socket.maxConnections", fmt.Errorf("%d is negative", c.MaxConnections))
	}
	if c.UDP && c.TLS != nil {
		fail("socket.security", errors.New("there is TLS with the type TCP only"))
	}
	var devices []*device
	for i, d := range c.Devices {
		compiled, err := d.compile(c.Compatible)
		for _, e := range unjoin(err) {
			errs = append(errs, fmt.Errorf("devices[%d].%w", i, e))
		}
		devices = append(devices, compiled)
	}
	return devices, errors.Join(errs...)
}

// unjoin returns the errors that were joined.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func (d Device) compile(compatible bool) (*device, error) {
	var errs []error
	fail := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if d.Name == "" {
		fail("deviceName", errors.New("is missing"))
	}
	if d.Profile == "" {
		d.Profile = "default"
	}
	c := &device{Device: d, compatible: compatible}
	var err error
	c.address, err = compilePattern(d.Address)
	fail("address", err)
	c.text, err = lookupEncoding(d.Encoding)
	fail("encoding", err)
	c.timeseries = compilePoints(d.Timeseries, "telemetry", fail)
	c.attributes = compilePoints(d.Attributes, "attributes", fail)
	for i, r := range d.Requests {
		match, err := compileMatch(r.Match)
		fail(fmt.Sprintf("attributeRequests[%d].requestExpression", i), err)
		names, err := compileSlice(r.Names)
		fail(fmt.Sprintf("attributeRequests[%d].attributeNameExpression", i), err)
		c.requests = append(c.requests, request{match, names, r.Client})
	}
	for i, r := range d.RPCs {
		if r.Method == "" {
			fail(fmt.Sprintf("serverSideRpc[%d].methodRPC", i), errors.New("is missing"))
		}
		var match *match
		if r.ReplyMatch != "" {
			match, err = compileMatch(r.ReplyMatch)
			fail(fmt.Sprintf("serverSideRpc[%d].responseExpression", i), err)
		}
		c.calls = append(c.calls, call{r, match})
	}
	return c, errors.Join(errs...)
}
