package request

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config].
const (
	DefaultPeriod       = 10 * time.Second
	DefaultTimeout      = time.Second
	DefaultTotalTimeout = time.Minute
	DefaultReplyTimeout = 5 * time.Second
	DefaultMaxBytes     = 10 << 20
	DefaultMaxPages     = 100
)

// Config configures a connector. It needs a Host, unless all URLs are absolute.
type Config struct {
	// Host is the URL that others are relative to. Without a scheme it is http.
	Host string

	Auth Auth

	// TLS is called before each request, and yields the same pointer as long as
	// nothing has changed. Nil: servers are verified against the system's roots.
	TLS func() (*tls.Config, error)

	MaxBytes       int64 // of the body of a response; DefaultMaxBytes if zero
	MaxConnections int   // to a host at a time; zero: as many as there are requests

	Endpoints []Endpoint
	Updates   []AttributeUpdate
	RPCs      []RPC

	// Compatible converts as the Python gateway where that differs: a null is the
	// text None with the type string, a part of a text that is missing is null,
	// objects in texts are shown as Python does, a missing name is None, and the
	// answer to a call is {"result": {"value": ...}}.
	Compatible bool
}

// Auth says who asks. It is used for the configured hosts only, not for those that a
// response names.
type Auth struct {
	User, Password string // basic authentication, if User is not empty

	// Token, if not nil, yields a bearer token. It is called for each request. See
	// [Token], [TokenFile] and [ClientCredentials].
	Token func(ctx context.Context) (string, error)

	// Refused, if not nil, is told of a token that a server answers 401 to.
	Refused func(token string)
}

// A Request says how a request is made. Its texts are templates: those of an endpoint
// have the placeholders ${now} and ${last}, the time of the poll and of the last one
// that was successful (or one period ago), in Unix milliseconds, and with ".s" or
// ".iso" behind in seconds or as in 2026-01-31T12:00:00Z.
type Request struct {
	URL     string // absolute, or relative to the host; values are percent-encoded
	Method  string // GET if empty
	Headers map[string]string

	// Body is what is sent. In the text of a JSON document values are encoded as
	// JSON. Form is sent instead if it is not nil.
	Body string
	Form map[string]string

	Redirects bool // follow redirects

	// Timeout is how long the server may be silent, and TotalTimeout how long the
	// whole exchange may take. DefaultTimeout, DefaultTotalTimeout if zero.
	Timeout, TotalTimeout time.Duration

	// Tries is how often the request is sent at most, with growing delays or what
	// the server asks for by Retry-After; one if zero. What may have had an effect
	// is not repeated: after a failure other than a refused connection, 429 and
	// 503, only GET, HEAD, OPTIONS, PUT and DELETE are.
	Tries int
}

// An Endpoint is requested over and over.
type Endpoint struct {
	Request

	Period time.Duration // DefaultPeriod if zero

	// Format is that of the body: "json", "xml", "csv", "text", or empty for what
	// the Content-Type says, and JSON if that says nothing. XML is taken as an
	// object of the root element; attributes have an @ before their names, and text
	// beside elements is #text. CSV is a list of objects with the names of the first
	// row, text the object {"text": ...}.
	Format string

	// Comma separates the columns of CSV; "," if zero. With NoHeader they are
	// called 0, 1, and so on.
	Comma    rune
	NoHeader bool

	// Items is the path of the messages in the body, such as ${data.items}. Empty:
	// the body. A list there is one message for each of its elements.
	Items string

	// Conditional asks only for what has changed, by ETag and Last-Modified. Where
	// nothing has, there is no data.
	Conditional bool

	Pages       Pages
	SubRequests []SubRequest

	JSON      JSONConfig
	Converter UplinkConverter // instead of JSON
}

// Pages says how the pages of a long answer follow each other. The zero Pages means
// that there is one.
type Pages struct {
	// Link is true if a response says the URL of the next one: in its header Link,
	// or at the path Next of its body. It has to be on the same host.
	Link bool
	Next string

	// Cursor is the path of a value that the next request has as the parameter
	// Parameter of its query ("cursor" if empty). The last page has none.
	Cursor    string
	Parameter string

	Max int // DefaultMaxPages if zero; more of them are a failure
}

// A SubRequest is a request for each message, whose answer becomes its member Key.
type SubRequest struct {
	Key string

	// URL is a template over the message. If it is not absolute, it is appended to
	// the URL of the endpoint.
	URL string

	// Value is a template over the answer, such as ${status.text}. Empty: the
	// answer, which is JSON.
	Value string
}

// JSONConfig says what a message means.
type JSONConfig struct {
	Device  string // template; a message without a name is dropped
	Profile string // template; "default" if empty

	Attributes []Datapoint
	Timeseries []Datapoint

	// Types converts values to the types of their datapoints. Otherwise they are as
	// they are in JSON, and only what is a member of the message itself, or put
	// together of several values, becomes a text with the type "string". Formats
	// without types, such as CSV, are always converted.
	Types bool
}

// A Datapoint says how one key gets its value.
type Datapoint struct {
	Key   string // template
	Value string // template
	Type  string // "string", "int", "float", "bool" or "json", see package converter/expr

	// TimeField is the path of the time. Without one, or if nothing there can be
	// read, the message's "ts" or "timestamp" counts, in milliseconds, or else the
	// time of receipt.
	TimeField string
	DayFirst  bool // 03.04.2024 is the third of April
	YearFirst bool // 10.11.12 is in 2010

	Report *telemetry.ReportPolicy // nil: that of the connector
}

// An AttributeUpdate is a request for each shared attribute that changes. Its texts
// have the placeholders ${deviceName}, ${attributeKey} and ${attributeValue}.
type AttributeUpdate struct {
	DeviceFilter    string // regular expression for the whole name
	AttributeFilter string // regular expression for the whole key
	Request         Request
}

// An RPC is a request for each remote procedure call. Its texts have the placeholders
// ${deviceName}, ${methodName}, ${requestId}, ${params} and ${params.path}.
type RPC struct {
	DeviceFilter string // regular expression for the whole name
	MethodFilter string // regular expression for the whole method
	Request      Request

	// Reply is a template over the answer, such as ${result}. Empty: the answer,
	// as JSON if it is that, and otherwise as text.
	Reply        string
	ReplyTimeout time.Duration // for all tries; DefaultReplyTimeout if zero
}

// A Response is what a server answers to a successful request.
type Response struct {
	URL    string
	Status int
	Header http.Header
	Body   []byte
}

// UplinkConverter converts a response. See converter.UplinkConverter.
type UplinkConverter = converter.UplinkConverter[Response]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[Response]

func (c Config) withDefaults() Config {
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	return c
}
