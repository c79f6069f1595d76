package bacnet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config], [Local], [Device] and [COV].
const (
	DefaultDiscover = 30 * time.Second
	DefaultRescan   = time.Minute
	DefaultTimeout  = 3 * time.Second // of an APDU (clause 5.3)
	DefaultRetries  = 2
	DefaultPoll     = 10 * time.Second
	DefaultLifetime = 5 * time.Minute
	DefaultResync   = 10 * time.Minute
	DefaultMaxAPDU  = 1476
	DefaultMask     = 24
	DefaultVendor   = 15
	DefaultName     = "Gateway"
)

// Config configures a [Connector].
type Config struct {
	Local   Local
	Foreign Foreign
	Devices []Device

	// Discover is the time from Who-Is to Who-Is. Zero: DefaultDiscover.
	Discover time.Duration

	// Rescan is how often devices are asked whether their objects have changed.
	// Zero: DefaultRescan.
	Rescan time.Duration

	// Timeout is how long a request waits for its answer, and Retries how often it
	// is repeated to a device that answered before. Zero: DefaultTimeout and
	// DefaultRetries. Negative Retries: never.
	Timeout time.Duration
	Retries int

	// Shortest and Longest bound the delays between the probes of a device that
	// does not answer. Zero: one second, one minute.
	Shortest, Longest time.Duration

	// Sockets are shared with other connectors, so that several of them can use
	// one port. Nil: the connector has its own.
	Sockets *Sockets

	// WrapResults returns the results of remote procedure calls as the reference
	// gateway does, {"result": "{'value': 21.5}"}, rather than as 21.5. Files set
	// it.
	WrapResults bool

	// Compatible reports values as the reference gateway does: whatever is not a
	// number with a fraction is text.
	Compatible bool
}

// Local is the gateway as a BACnet device.
type Local struct {
	// Host is the IPv4 address to bind, and Mask the length of its network's
	// prefix, which gives the broadcast address. Empty or 0.0.0.0: all addresses,
	// and the broadcast address 255.255.255.255. Mask zero: DefaultMask.
	Host string
	Mask int

	// Port is the UDP port. Zero: 47808; negative: any that is free.
	Port int

	// Instance is the number of the gateway's device object, which has to be its
	// own in the whole installation. It also marks the gateway's subscriptions.
	Instance uint32

	Name         string // of the device object; empty: DefaultName
	Vendor       uint16 // zero: DefaultVendor
	MaxAPDU      int    // 50 to 1476, the longest message that is accepted; zero: DefaultMaxAPDU
	Segmentation wire.Segmentation
}

// Foreign makes the gateway a foreign device of another network.
type Foreign struct {
	// Address is that of the network's BBMD, with :port if it is not 47808.
	// Empty: the gateway is no foreign device.
	Address string

	// TTL is how long a registration holds; it is renewed in time. Zero: 15
	// minutes.
	TTL time.Duration
}

// A Device describes one or more devices.
type Device struct {
	// Name and Profile are texts with ${objectName}, ${objectId}, ${vendorId},
	// ${address}, ${routerName}, ${routerId}, ${routerAddress} and
	// ${routerVendorId}.
	Name, Profile string

	// Address says where the devices are, see [ParsePattern], and Instances which
	// numbers they have. Both have to match if both are given. Alternatives are
	// further addresses that they answer from.
	Address      string
	Instances    []Range
	Alternatives []string

	// Poll is the time from poll to poll. Zero: DefaultPoll.
	Poll time.Duration

	// COV makes devices report present values when they change.
	COV COV

	Items []Item

	// RPC and AttributeUpdates are what can be read and written on command.
	RPC, AttributeUpdates []Command

	// Report is the report policy of items that have none.
	Report *telemetry.ReportPolicy

	// Timeout and Retries override those of Config.
	Timeout time.Duration
	Retries int

	literalName, literalProfile bool // they are no templates
}

// COV configures subscriptions. Objects that cannot be subscribed to are polled.
type COV struct {
	Enabled bool

	// Unconfirmed has the device send each value once, whether it arrives or not.
	// Otherwise it repeats values until they are stored.
	Unconfirmed bool

	// Lifetime is how long a subscription holds; it is renewed in half that time.
	// Zero: DefaultLifetime.
	Lifetime time.Duration

	// Resync is how often values are read besides. Zero: DefaultResync.
	Resync time.Duration
}

// A Range is a range of numbers, with both ends.
type Range struct{ First, Last uint32 }

// A Selector selects objects.
type Selector struct {
	// Types are the types of the objects. Nil: all types, which is possible
	// without Instances only.
	Types []wire.ObjectType

	// Instances are their numbers. Nil: the objects of these types that the device
	// has. A device object's number is always the device's own.
	Instances []Range
}

// Object selects one object.
func Object(t wire.ObjectType, instance uint32) Selector {
	return Selector{Types: []wire.ObjectType{t}, Instances: []Range{{instance, instance}}}
}

// Objects selects the objects of the types that a device has; all of its objects if
// there are no types.
func Objects(types ...wire.ObjectType) Selector { return Selector{Types: types} }

// An Item is what is read of objects.
type Item struct {
	// Key is the key of a reading, a text with ${objectName} or other properties
	// of the object, and ${objectType} and ${objectId}. If there are several
	// Properties, each one's name is added, as in temperature.present-value.
	Key string

	Objects Selector

	// Properties are what is read. Nil: present-value. AllProperties stands for
	// all that the object has.
	Properties []wire.Property

	// Element is the number of an array's element. Zero: all of it; -1: the number
	// of elements.
	Element int

	Attribute bool // a client-side attribute rather than telemetry

	// Decimals is the number of decimals that real numbers are rounded to. Zero:
	// they are not rounded.
	Decimals int

	Report *telemetry.ReportPolicy
}

// A Command reads or writes a property.
type Command struct {
	Method   string // or the key of an attribute
	Object   wire.ObjectID
	Property wire.Property
	Element  int // as in Item

	Write    bool
	Priority uint8  // 1 to 16 of a write; zero: none
	Kind     string // the type to write, such as real; empty: what the property has

	requested string // the reference's requestType, if it is none
}

func (c Config) withDefaults() Config {
	setDefault(&c.Discover, DefaultDiscover)
	setDefault(&c.Rescan, DefaultRescan)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.Shortest, backoff.DefaultShortest)
	setDefault(&c.Longest, max(backoff.DefaultLongest, c.Shortest))
	setDefault(&c.Foreign.TTL, 15*time.Minute)
	if c.Retries == 0 {
		c.Retries = DefaultRetries
	}
	c.Local = c.Local.withDefaults()
	return c
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

func (l Local) withDefaults() Local {
	if l.Host == "" {
		l.Host = "0.0.0.0"
	}
	if l.Port == 0 {
		l.Port = wire.DefaultPort
	}
	if l.Mask == 0 {
		l.Mask = DefaultMask
	}
	if l.Name == "" {
		l.Name = DefaultName
	}
	if l.Vendor == 0 {
		l.Vendor = DefaultVendor
	}
	if l.MaxAPDU == 0 {
		l.MaxAPDU = DefaultMaxAPDU
	}
	return l
}

// validate checks l, which has its defaults.
func (l Local) validate() error {
	ip, err := netip.ParseAddr(l.Host)
	switch {
	case err != nil || !ip.Is4():
		return fmt.Errorf("local: host: %q is not an IPv4 address", l.Host)
	case l.Port > 65535:
		return fmt.Errorf("local: port: %d is not from 1 to 65535", l.Port)
	case l.Mask < 0 || l.Mask > 32:
		return fmt.Errorf("local: mask: %d is not from 1 to 32", l.Mask)
	case l.Instance >= wire.AnyInstance:
		return fmt.Errorf("local: instance: %d is not from 0 to %d", l.Instance, wire.AnyInstance-1)
	case l.MaxAPDU < 50 || l.MaxAPDU > 1476:
		return fmt.Errorf("local: maxAPDU: %d is not from 50 to 1476", l.MaxAPDU)
	}
	return nil
}

// broadcast returns the address of local broadcasts.
func (l Local) broadcast(port uint16) netip.AddrPort {
	ip := netip.MustParseAddr(l.Host) // was checked
	if ip.IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), port)
	}
	b := ip.As4()
	for i := l.Mask; i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(b), port)
}

// Validate returns all that is wrong with c, or nil.
func (c Config) Validate() error {
	_, err := compile(c)
	return err
}

// validate checks what does not belong to a single item.
func (d Device) validate() error {
	switch {
	case d.Name == "":
		return errors.New("name: missing")
	case d.Address == "" && len(d.Instances) == 0:
		return errors.New("address: missing, and there are no instances either")
	case d.Poll < 0:
		return fmt.Errorf("poll: %v is negative", d.Poll)
	}
	for _, r := range d.Instances {
		if r.First > r.Last || r.Last > wire.AnyInstance {
			return fmt.Errorf("instances: %d-%d is not a range from 0 to %d", r.First, r.Last, wire.AnyInstance)
		}
	}
	return nil
}

// element returns the index of an array that an Element stands for.
func element(n int) (uint32, error) {
	switch {
	case n == 0:
		return wire.WholeArray, nil
	case n == -1:
		return 0, nil
	case n > 0 && int64(n) < int64(wire.WholeArray):
		return uint32(n), nil
	default:
		return 0, fmt.Errorf("element: %d is not the number of an element", n)
	}
}
