package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Config configures a Connector. Broker is required.
type Config struct {
	// Broker is the broker's URL: scheme://host:port, with the scheme tcp, tls,
	// ws or wss (mqtt, mqtts and ssl are other names for the first two). With ws
	// and wss a path may follow.
	Broker   string
	Mappings []Mapping

	// Inflight is how many messages may be converted and not yet acknowledged.
	// Zero: 100. As many again may wait for conversion.
	Inflight int

	// QueueBytes bounds the payloads that wait for conversion. Zero: 16 MiB. A
	// single larger message passes alone.
	QueueBytes int

	// ClientID identifies the client to the broker. Empty: a random one. It is
	// required with KeepSession.
	ClientID string
	Username string
	Password string
	TLS      *tls.Config // for tls and wss; nil: the system's roots

	// TLSSource, if not nil, is called for each connection in place of reading
	// TLS, so that certificates can be renewed while the connector runs.
	TLSSource func() (*tls.Config, error)

	// Proxy is the URL of a proxy to connect through, with the scheme http, https
	// or socks5. Empty: none.
	Proxy string

	// Version is 5 for MQTT 5, or 4 for MQTT 3.1.1, which zero means too.
	Version byte

	// KeepSession asks the broker to keep what is not acknowledged, and what
	// arrives, while the connector is away. A broker of version 5 keeps it for
	// SessionExpiry, in whole seconds; zero: for ever.
	KeepSession   bool
	SessionExpiry time.Duration
	KeepAlive     time.Duration // between pings; zero: 60 s

	Connects          []DeviceRequest
	Disconnects       []DeviceRequest
	AttributeRequests []AttributeRequest
	AttributeUpdates  []AttributeUpdate
	RPCs              []RPC
}

// A Mapping says which topics are converted how.
type Mapping struct {
	Filter    string
	QoS       byte // 0 or 1; 2 counts as 1
	Converter UplinkConverter
}

// Source is where an expression is applied.
type Source uint8

// The sources. An expression on the message is a template: see package
// converter/expr. So is a constant, whose placeholders, if it has any, are filled
// in. An expression on the topic is a regular expression, which stands for its
// last group that takes part in the match, or for the whole match.
const (
	FromMessage Source = iota
	FromTopic
	Constant
)

// An Expression yields a text for a message.
type Expression struct {
	Source Source
	Text   string
}

// DeviceInfo says which device a message is about.
type DeviceInfo struct {
	Name    Expression
	Profile Expression // with an empty Text: the platform's default profile
}

// A DeviceRequest announces a device, or its absence, when a message arrives.
type DeviceRequest struct {
	Filter string
	QoS    byte
	Device DeviceInfo
}

// An AttributeRequest answers devices that ask for their attributes.
type AttributeRequest struct {
	Filter string
	QoS    byte
	Device DeviceInfo

	// Names yields the names of the attributes: from the message, those that its
	// placeholders stand for, each of which may be a list of names; from the
	// topic, one name; a constant, as it is.
	Names  Expression
	Client bool // ask for client-side rather than shared attributes

	// Topic and Value are templates of the answer. They know ${deviceName} and
	// ${attributeKey}, Value also ${attributeValue} as JSON; between double
	// quotes a text is put without quotes of its own. If several attributes are
	// asked for, the answer is a JSON object of them instead of Value.
	Topic  string
	Value  string
	Retain bool
	// ReplyQoS is the QoS of the answer, 0 or 1.
	ReplyQoS byte
}

// An AttributeUpdate publishes changes of shared attributes to devices.
type AttributeUpdate struct {
	DeviceFilter    string // regular expression that matches from the start of the device's name
	AttributeFilter string // the same for the attribute's name

	// Topic and Value are templates that know ${deviceName}, ${attributeKey} and
	// ${attributeValue}, a text without quotes or JSON.
	Topic  string
	Value  string
	Retain bool
	QoS    byte
}

// An RPC carries out remote procedure calls. The first whose filters match does.
type RPC struct {
	DeviceFilter string // regular expression that matches somewhere in the device's name
	MethodFilter string // the same for the method's name

	// Topic, Value and ReplyTopic are templates that know ${deviceName},
	// ${methodName}, ${requestId}, ${params} and ${params.path}. In Value,
	// parameters are JSON.
	Topic  string
	Value  string
	Retain bool
	QoS    byte

	// ReplyTopic makes the call wait for a message, which is its result: its JSON
	// value, or its text. Empty: the call succeeds when the request is sent.
	ReplyTopic string
	ReplyQoS   byte
	Timeout    time.Duration // of the wait for a reply; zero: 5 s
}

const (
	defaultInflight   = 100
	defaultQueueBytes = 16 << 20
	defaultTimeout    = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Inflight <= 0 {
		c.Inflight = defaultInflight
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = defaultQueueBytes
	}
	return c
}

// A plan is a configuration that was checked and compiled.
type plan struct {
	router     *router
	connects   []deviceRequest
	leaves     []deviceRequest
	attributes []attributeRequest
	updates    []attributeUpdate
	rpcs       []rpc
}

func (c Config) compile(p problems) *plan {
	if c.Broker == "" {
		p.add("broker", errors.New("is missing"))
	}
	if c.KeepSession && c.ClientID == "" {
		p.add("clientId", errors.New("is required for a session that is kept"))
	}
	pl := &plan{router: newRouter()}
	for i, m := range c.Mappings {
		at := p.item("mapping", i)
		pl.router.add(at, "topicFilter", m.Filter, m.QoS, target{toMapping, i})
		if m.Converter == nil {
			at.add("converter", errors.New("is missing"))
		}
	}
	for i, r := range c.Connects {
		at := p.item("connectRequests", i)
		pl.router.add(at, "topicFilter", r.Filter, r.QoS, target{toConnect, i})
		pl.connects = append(pl.connects, compileDeviceRequest(r, at))
	}
	for i, r := range c.Disconnects {
		at := p.item("disconnectRequests", i)
		pl.router.add(at, "topicFilter", r.Filter, r.QoS, target{toDisconnect, i})
		pl.leaves = append(pl.leaves, compileDeviceRequest(r, at))
	}
	for i, r := range c.AttributeRequests {
		at := p.item("attributeRequests", i)
		pl.router.add(at, "topicFilter", r.Filter, r.QoS, target{toAttributes, i})
		pl.attributes = append(pl.attributes, compileAttributeRequest(r, at))
	}
	for i, u := range c.AttributeUpdates {
		pl.updates = append(pl.updates, compileAttributeUpdate(u, p.item("attributeUpdates", i)))
	}
	for i, r := range c.RPCs {
		pl.rpcs = append(pl.rpcs, compileRPC(r, p.item("serverSideRpc", i)))
	}
	pl.router.reduce()
	return pl
}

// problems collects what is wrong with a configuration, or the part of it below
// path.
type problems struct {
	path string
	r    *conf.Reader
}

func newProblems() problems { return problems{r: conf.NewReader(nil)} }

// below returns the collector for what is below o.
func below(o *conf.Object) problems { return problems{o.At(""), o.Reader()} }

// at returns the collector for what is below key.
func (p problems) at(key string) problems { return problems{p.join(key), p.r} }

// item returns the collector for what is below key[i].
func (p problems) item(key string, i int) problems { return p.at(fmt.Sprintf("%s[%d]", key, i)) }

func (p problems) join(key string) string {
	if p.path == "" || key == "" {
		return p.path + key
	}
	return p.path + "." + key
}

func (p problems) add(key string, err error) { p.r.Fail(p.join(key), err) }

func (p problems) err() error { return p.r.Err() }

// regexp compiles a regular expression; on failure it returns nil.
func (p problems) regexp(key, text string) *expr.Regexp {
	re, err := expr.CompileRegexp(text)
	p.add(key, err)
	return re
}

// topic checks a template of a topic to publish to.
func (p problems) topic(key, text string) *expr.Template {
	switch {
	case text == "":
		p.add(key, errors.New("is missing"))
	case strings.ContainsAny(text, "+#\x00"):
		p.add(key, fmt.Errorf("%q: a topic to publish to has no wildcards", text))
	}
	return expr.Compile(text)
}
