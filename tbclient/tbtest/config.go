package tbtest

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"time"
)

// Config configures a Server. The zero Config takes any credentials on a free
// port of the loopback interface.
type Config struct {
	Addr string      // zero: 127.0.0.1:0
	TLS  *tls.Config // nil: no encryption

	// Token is the access token of the gateway, and Username, Password and
	// ClientID its basic credentials, of which those that are given count. If
	// any of them is given, a client needs them, or a client certificate that
	// TLS verifies. A client that shows a certificate is judged by it alone.
	Token    string
	Username string
	Password string
	ClientID string

	// NotGateway makes the credentials those of a plain device. The platform
	// then answers nothing at all on the gateway's topics.
	NotGateway bool

	// Provision makes the server create devices for clients that ask. Nil:
	// every request is answered with NOT_FOUND.
	Provision *Provision

	MaxPayload  int  // of an MQTT packet without its fixed header, in bytes; zero: 65536
	MaxInflight int  // told to clients; zero: 100
	NoLimits    bool // do not answer getSessionLimits, like a plain broker

	// ReceiveMaximum and MaximumPacketSize are the properties of these names
	// that clients of MQTT 5 are told when they connect. A client that exceeds
	// them is disconnected with reason 147 or 149. Zero: not told.
	ReceiveMaximum    uint16
	MaximumPacketSize uint32

	// Protobuf makes the topics of the gateway carry messages of protobuf
	// rather than JSON, as the transport type of a device profile does. Those
	// of the device API go on carrying JSON.
	Protobuf bool

	// AckInvalid acknowledges a payload that cannot be read on MQTT 3.1.1 too,
	// as the device profile's option to send PUBACK on a validation error does.
	AckInvalid bool

	RateLimits RateLimits

	// MaxDevices bounds the devices that gateways can create; zero: no bound.
	// MaxDeviceName bounds the length of their names in bytes; zero: 255.
	MaxDevices    int
	MaxDeviceName int

	// RefuseDevice is asked before a device is created. If it returns a reason
	// code, such as 128, the device is not created.
	RefuseDevice func(name, kind string) byte

	// Refuse is asked about each telemetry value, of type bool, int64, float64,
	// string or json.RawMessage. If it returns true, the platform cannot read
	// the message that carries the value, and stores nothing of it.
	Refuse func(device, key string, ts int64, value any) bool

	// OnCall answers the calls that the gateway makes to the platform, except
	// for the session limits. What it returns is marshaled as JSON. Nil: the
	// answer is that nobody answered.
	OnCall func(method string, params json.RawMessage) any

	// AckDelay returns how long the acknowledgement of a message waits, beside
	// what Server.Delay says. Acknowledgements are sent when they are due.
	AckDelay func(Message) time.Duration

	// ValueOfOne answers a request for several attributes of which one exists
	// with "value" rather than "values", as older platforms do.
	ValueOfOne bool

	// PlainNotices sends the parameters of the notices of renamed and deleted
	// devices as JSON values rather than as strings that hold JSON.
	PlainNotices bool

	// Keep bounds the readings that are kept; the oldest are forgotten first.
	// Zero: 1,000,000.
	Keep int

	// OnTelemetry is called for each accepted reading, and OnPublish for each
	// message from a client before it is acted on. They are called in the order
	// of arrival, one at a time per connection, and delay it.
	OnTelemetry func(Reading)
	OnPublish   func(Message)

	Logger *slog.Logger // nil: nothing is logged
}

func (c Config) withDefaults() Config {
	c.Addr = cmp.Or(c.Addr, "127.0.0.1:0")
	c.MaxPayload = positive(c.MaxPayload, 65536)
	c.MaxInflight = positive(c.MaxInflight, 100)
	c.MaxDeviceName = positive(c.MaxDeviceName, 255)
	c.Keep = positive(c.Keep, 1_000_000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// A Message is a message that a client published.
type Message struct {
	Session uint64 // number of the connection, from 1
	Topic   string
	Payload []byte // not to be changed
	QoS     byte
	Dup     bool
}
