package opcua

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config].
const (
	DefaultPort            = "4840"
	DefaultTimeout         = 4 * time.Second
	DefaultPoll            = 5 * time.Second
	DefaultScan            = time.Hour
	DefaultPublish         = 100 * time.Millisecond
	DefaultSessionTimeout  = 2 * time.Minute
	DefaultReconnect       = time.Second
	DefaultReconnectMax    = 3 * time.Second
	DefaultMaxBatch        = 1000 // points
	DefaultItemsPerRequest = 1000
	DefaultQueueSize       = 10 // values per monitored item, kept by the server
	DefaultPKI             = "opcua-pki"
	DefaultApplicationURI  = "urn:gridlinks:iot-gateway"
)

// Config configures a [Connector]. URL and Mappings are required.
type Config struct {
	// URL of the server, "opc.tcp://host:4840/path". The scheme and the port may
	// be missing.
	URL string

	// ApplicationURI names the gateway to the server. It is part of the
	// certificate that is made for it. Empty: that of the certificate, or
	// DefaultApplicationURI.
	ApplicationURI string

	// Timeout is how long a request waits for its answer. Zero: DefaultTimeout.
	Timeout time.Duration

	// Poll makes the connector read all values once per PollPeriod rather than
	// subscribe to their changes. Zero PollPeriod: DefaultPoll. Values that the
	// server cannot monitor are always read.
	Poll       bool
	PollPeriod time.Duration

	// Scan is the time between searches for devices and nodes that were not
	// there before. Zero: DefaultScan.
	Scan time.Duration

	// Publish is the interval at which the server reports changes. Zero:
	// DefaultPublish.
	Publish time.Duration

	// Silence is how long the server may send nothing on a subscription, not
	// even that there is nothing, before the connection is built anew. Zero:
	// twice what the server has agreed to, and Timeout.
	Silence time.Duration

	// SessionTimeout is how long the server keeps a session of which it hears
	// nothing. Zero: DefaultSessionTimeout.
	SessionTimeout time.Duration

	// MaxBatch is the most points that are submitted together. Zero:
	// DefaultMaxBatch.
	MaxBatch int

	// ItemsPerRequest is the most monitored items of one request, where the
	// server names no limit. Zero: DefaultItemsPerRequest.
	ItemsPerRequest int

	// Reconnect is the delay before the second attempt to reconnect, and
	// ReconnectMax the longest; delays double in between. The first attempt
	// comes at once. Zero: DefaultReconnect and DefaultReconnectMax.
	Reconnect, ReconnectMax time.Duration

	Security Security
	Identity Identity

	// Mappings say which nodes are devices, and what is read from them.
	Mappings []Mapping

	// Compatible converts values as the reference gateway does where this
	// connector does better: arrays become lists of texts, and localized texts
	// become their Python form.
	Compatible bool

	// WrapResults gives the results of remote procedure calls the reference
	// gateway's form, {"result": {"value": 5}}. Files set it.
	WrapResults bool

	// ShowMap logs the nodes that were found.
	ShowMap bool
}

// A Mapping describes devices of one kind.
type Mapping struct {
	// Node is the node of a device: a node identifier such as "ns=2;i=1" or
	// "nsu=urn:x;s=Pump", or a path from the root whose segments are separated
	// by a backslash and a dot, `Root\.Objects\.2:Line 1\.Pump`. A segment is a
	// browse name, with the index of its namespace or without. If no child has
	// exactly this name, a segment with one of \*+?[](){}|^$ is a regular
	// expression that the whole name must match. Each node found is a device.
	Node string

	// DeviceName and Profile are texts in which ${path} or ${identifier} stands
	// for the value of a node. The default Profile is "default".
	DeviceName, Profile string

	Telemetry  []Item
	Attributes []Item
	Methods    []Method
	Updates    []Update

	// Report is the report policy of items that have none.
	Report *telemetry.ReportPolicy
}

// TimeSource says where the time of a reading comes from.
type TimeSource uint8

// The sources of time. A time that the server does not send is that of the
// gateway.
const (
	GatewayTime TimeSource = iota // when the value came
	SourceTime                    // when the value was measured
	ServerTime                    // when the server obtained it
)

// An Item is a value that is read from a device.
type Item struct {
	Key string

	// Node is a node identifier, a path from the root, or a path from the
	// device's node: `Sub\.Temperature`. Names are literal.
	Node string

	Time TimeSource

	// Sampling is how often the server looks at the value. Zero:
	// Config.Publish.
	Sampling time.Duration

	// QueueSize is how many values the server keeps between two reports. Zero:
	// DefaultQueueSize.
	QueueSize int

	// Deadband is the change of a number from which on it is reported, in the
	// value's unit, or in percent of its range. Zero: every change.
	Deadband        float64
	DeadbandPercent bool

	Report *telemetry.ReportPolicy

	constant bool // Node is a text to report as it is
}

// A Method is a method of a device's node that can be called.
type Method struct {
	// Name is the name of the remote procedure call, and the method's browse
	// name, with the index of its namespace or without.
	Name string

	// Arguments are used if the call brings none. A zero Value is no default.
	Arguments []telemetry.Value
}

// An Update is a shared attribute that is written to a node.
type Update struct {
	Key  string
	Node string // as in Item
}

// Security says how messages are protected. The zero Security does not.
type Security struct {
	// Policy is None, Basic128Rsa15, Basic256, Basic256Sha256,
	// Aes128Sha256RsaOaep or Aes256Sha256RsaPss. The connection fails if the
	// server does not offer it: there is no way back to a weaker one.
	Policy string

	// Mode is Sign or SignAndEncrypt, which is the default with a Policy.
	Mode string

	// Cert and Key are PEM or DER files of the gateway's certificate. Without
	// them a certificate is made and kept in PKI.
	Cert, Key string

	// ServerCert is a PEM or DER file of the server's certificate, or of the
	// authority that issued it. It is trusted beside those in PKI.
	ServerCert string

	// PKI is the folder of the gateway's own certificate, of trusted server
	// certificates and authorities (trusted), and of those that were refused
	// (rejected). Empty: DefaultPKI.
	PKI string

	// Dir is the folder that relative paths start from.
	Dir string

	// SkipVerify accepts any server certificate. Connections are then open to
	// interception.
	SkipVerify bool
}

// Identity says who logs in. The zero Identity is anonymous.
type Identity struct {
	User, Password string

	// Certificate logs in with the certificate of Security.
	Certificate bool

	// CertificateOrAnonymous logs in with the certificate only if the server
	// refuses anonymous sessions, as the reference gateway's files mean it.
	CertificateOrAnonymous bool
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&c.Timeout, DefaultTimeout)
	set(&c.PollPeriod, DefaultPoll)
	set(&c.Scan, DefaultScan)
	set(&c.Publish, DefaultPublish)
	set(&c.SessionTimeout, DefaultSessionTimeout)
	set(&c.Reconnect, DefaultReconnect)
	set(&c.ReconnectMax, max(DefaultReconnectMax, c.Reconnect))
	if c.MaxBatch <= 0 {
		c.MaxBatch = DefaultMaxBatch
	}
	if c.ItemsPerRequest <= 0 {
		c.ItemsPerRequest = DefaultItemsPerRequest
	}
	if c.Security.PKI == "" {
		c.Security.PKI = DefaultPKI
	}
	c.URL = fullURL(c.URL)
	return c
}

// fullURL adds what is missing.
func fullURL(s string) string {
	if s == "" {
		return s
	}
	if !strings.Contains(s, "://") {
		s = "opc.tcp://" + s
	}
	u, err := url.Parse(s)
	if err == nil && u.Port() == "" && u.Host != "" {
		u.Host += ":" + DefaultPort
		s = u.String()
	}
	return s
}

// Validate returns all that is wrong with c, or nil.
func (c Config) Validate() error {
	_, err := compile(c.withDefaults())
	return err
}

func (c Config) validate() error {
	var errs []error
	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		errs = append(errs, errors.New("url: missing"))
	case err != nil || u.Host == "" || u.Scheme != "opc.tcp":
		errs = append(errs, fmt.Errorf("url: %q is not of the form opc.tcp://host:port", c.URL))
	}
	errs = append(errs, c.Security.validate())
	if c.Identity.Certificate && c.Security.plain() {
		errs = append(errs, errors.New("identity: a certificate needs a security policy"))
	}
	return errors.Join(errs...)
}
