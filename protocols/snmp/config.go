package snmp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config] and [Device].
const (
	DefaultPort           = 161
	DefaultTimeout        = 2 * time.Second
	DefaultRetries        = 1
	DefaultPoll           = 10 * time.Second
	DefaultCommunity      = "public"
	DefaultMaxOIDs        = 60
	DefaultMaxRepetitions = 10
)

// maxRepetitions is the most objects that a GETBULK asks for behind each.
const maxRepetitions = 1000

// Config configures a [Connector].
type Config struct {
	// Devices are the agents that are polled and written to. Each is served by a
	// goroutine and a socket of its own.
	Devices []Device

	// Traps, if not nil, receives notifications.
	Traps *Traps

	// Names are symbolic names that object identifiers can be given by.
	Names Names

	// Timeout is how long a request waits for its answer. Zero: DefaultTimeout.
	Timeout time.Duration

	// Retries is how often an unanswered request to a device that answered
	// before is repeated. Zero: DefaultRetries. Negative: never.
	Retries int

	// WrapResults returns the results of remote procedure calls as the reference
	// gateway does, {"result": 5}, rather than as 5. Files set it.
	WrapResults bool

	// Compatible converts as the reference gateway does where it makes text of
	// what is not: the values in the objects of GetNext and walks, and the results
	// of remote procedure calls. Tables are then lists of rows.
	Compatible bool
}

// A Version is a version of SNMP.
type Version uint8

// The versions, with the names that configuration files use.
const (
	V2c Version = iota // "v2c"
	V1                 // "v1"
	V3                 // "v3"
)

// A Device is an agent.
type Device struct {
	Name    string
	Profile string // device profile on the platform

	// Address is the agent's host, or host:port. It is resolved whenever a socket
	// is opened, which happens after each failure too.
	Address string

	TCP       bool // speak over TCP rather than UDP
	Version   Version
	Community string // of V1 and V2c; empty: DefaultCommunity
	User      *User  // of V3

	// Poll is the time from poll to poll. Zero: DefaultPoll.
	Poll time.Duration

	// Timeout and Retries override those of Config.
	Timeout time.Duration
	Retries int

	// MaxOIDs is the most objects of one request. Zero: DefaultMaxOIDs, which is
	// also the most.
	MaxOIDs int

	// MaxRepetitions is how many objects a GETBULK of a walk asks for. Zero:
	// DefaultMaxRepetitions. Negative: walks use GETNEXT, as with V1.
	MaxRepetitions int

	Objects []Object

	// RPC and AttributeUpdates are commands. Get and Set by object identifier
	// work without any.
	RPC              []Command
	AttributeUpdates []Command

	// Report is the report policy of objects that have none.
	Report *telemetry.ReportPolicy
}

// An Object is what is read from a device and reported under a key.
type Object struct {
	Key       string
	Attribute bool // report it as a client-side attribute rather than telemetry
	Method    Method

	// OIDs are the objects that Method reads, by number or name. Scalars are those
	// that BulkGet reads once.
	OIDs, Scalars []string

	// Repetitions overrides Device.MaxRepetitions. That of BulkGet is 1.
	Repetitions int

	Poll     time.Duration // zero: Device.Poll
	Encoding Encoding      // of OCTET STRINGs

	// Scale is multiplied with numbers. Zero: 1.
	Scale float64

	Report *telemetry.ReportPolicy
}

// A Command reads or writes on demand.
type Command struct {
	// Name is a regular expression for the whole name of the remote procedure, or
	// of the shared attribute.
	Name   string
	Method Method

	// OIDs, Scalars, Repetitions, Encoding and Scale are those of Object.
	OIDs, Scalars []string
	Repetitions   int
	Encoding      Encoding
	Scale         float64

	// Writes are what Set and MultiSet write. A Set without any writes the
	// parameter to OIDs[0].
	Writes []Write

	// Syntax is how Set writes to OIDs[0].
	Syntax Syntax

	// Timeout bounds the command, besides the deadline of its context. Zero: it
	// does not.
	Timeout time.Duration
}

// A Write is an assignment to an object.
type Write struct {
	OID    string
	Syntax Syntax

	// Value is what is written, in which ${attribute} and ${params} stand for the
	// value of the attribute, or the parameter of the remote procedure; ${params.x}
	// stands for the member x of that. Empty: the value itself.
	Value string
}

// Validate returns all that is wrong with c, or nil.
func (c Config) Validate() error {
	_, err := compile(c)
	return err
}

func (d Device) withDefaults(c Config) Device {
	if d.Timeout <= 0 {
		d.Timeout = c.Timeout
	}
	if d.Timeout <= 0 {
		d.Timeout = DefaultTimeout
	}
	if d.Retries == 0 {
		d.Retries = c.Retries
	}
	if d.Retries == 0 {
		d.Retries = DefaultRetries
	}
	if d.Community == "" {
		d.Community = DefaultCommunity
	}
	if d.Poll == 0 {
		d.Poll = DefaultPoll
	}
	if d.MaxOIDs == 0 {
		d.MaxOIDs = DefaultMaxOIDs
	}
	if d.MaxRepetitions == 0 {
		d.MaxRepetitions = DefaultMaxRepetitions
	}
	return d
}

// validate checks what does not belong to a single object.
func (d Device) validate() error {
	var errs []error
	if d.Name == "" {
		errs = append(errs, errors.New("name: missing"))
	}
	if _, _, err := splitAddress(d.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	if d.Poll < 0 {
		errs = append(errs, fmt.Errorf("poll: %v is negative", d.Poll))
	}
	if d.MaxOIDs < 1 || d.MaxOIDs > DefaultMaxOIDs {
		errs = append(errs, fmt.Errorf("maxOids: %d is not in 1 to %d", d.MaxOIDs, DefaultMaxOIDs))
	}
	switch {
	case d.Version > V3:
		errs = append(errs, fmt.Errorf("version: %d is not known", d.Version))
	case d.Version == V3 && d.User == nil:
		errs = append(errs, errors.New("security: missing, with version v3"))
	case d.Version == V3:
		errs = append(errs, d.User.validate())
	}
	return errors.Join(errs...)
}

// splitAddress splits host or host:port.
func splitAddress(address string) (host string, port uint16, err error) {
	if address == "" {
		return "", 0, errors.New("missing")
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return address, DefaultPort, nil // without a port; IPv6 addresses have colons too
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port is not a number from 1 to 65535", address)
	}
	if host == "" {
		return "", 0, fmt.Errorf("%q: no host", address)
	}
	return host, uint16(n), nil
}
