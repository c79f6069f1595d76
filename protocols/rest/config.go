package rest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config].
const (
	DefaultPort           = 5000
	DefaultMaxConnections = 10000
	DefaultMaxBody        = 1 << 20
	DefaultMaxHeader      = 64 << 10
	DefaultHeaderTimeout  = 5 * time.Second
	DefaultReadTimeout    = 30 * time.Second
	DefaultWriteTimeout   = 30 * time.Second
	DefaultIdleTimeout    = 2 * time.Minute
	DefaultStoreTimeout   = 10 * time.Second
	DefaultAnswerTimeout  = 2 * time.Minute  // of [Response]
	DefaultTimeout        = 10 * time.Second // of requests, both ways
)

// Config configures a connector. The zero value listens on port 5000 of the loopback
// address and knows no path.
type Config struct {
	Hosts []string // names or addresses to listen on; 127.0.0.1 if empty
	Port  int      // DefaultPort if zero; negative: any that is free

	// TLS returns the configuration to serve HTTPS with. Nil: HTTP. It is called
	// when the connector begins to listen.
	TLS func() (*tls.Config, error)

	MaxConnections int           // at a time; more are closed. DefaultMaxConnections if zero
	MaxBody        int           // bytes of a body; DefaultMaxBody if zero
	MaxHeader      int           // bytes of the header; DefaultMaxHeader if zero
	HeaderTimeout  time.Duration // to read the header; DefaultHeaderTimeout if zero
	ReadTimeout    time.Duration // to read a whole request; DefaultReadTimeout if zero
	WriteTimeout   time.Duration // of one write; DefaultWriteTimeout if zero
	IdleTimeout    time.Duration // between two requests of a connection; DefaultIdleTimeout if zero
	StoreTimeout   time.Duration // for data to be durable; DefaultStoreTimeout if zero

	CORS    *CORS  // nil: browsers let pages of other origins have nothing
	OpenAPI string // path of a description of all endpoints, open to everyone; empty: none

	Endpoints         []Endpoint
	AttributeRequests []AttributeRequest
	AttributeUpdates  []AttributeUpdate
	RPCs              []RPC

	// WrapResults answers remote procedure calls in the form of the Python gateway,
	// {"result": 5}, rather than with 5. Files set it.
	WrapResults bool

	// Compatible converts and answers as the Python gateway where that differs: all
	// values are texts, as Python prints them; a placeholder without a value stays in
	// a name, and is None in a longer text; only the first element of an array counts;
	// what is no JSON is accepted, and a JSON value that is no object is answered
	// with 500.
	Compatible bool
}

// CORS says which pages may use the endpoints from a browser.
type CORS struct {
	Origins []string // such as https://example.com, or * for all
	Headers []string // that requests may have; Authorization and Content-Type if empty
	MaxAge  time.Duration
}

// An Endpoint is a path that takes data.
type Endpoint struct {
	// Path is the path, in which {name} stands for a segment, or a part of one, and
	// {name:expression} for what the regular expression matches.
	Path    string
	Methods []string // such as POST; * for all
	Auth    Auth
	Device  DeviceInfo

	Attributes []Datapoint
	Timeseries []Datapoint
	Converter  UplinkConverter // instead of Device, Attributes and Timeseries

	Response Response
}

// Auth says who may use a path. The zero Auth is everyone.
type Auth struct {
	Users  []User   // HTTP Basic
	Tokens []string // Authorization: Bearer

	// Certificate demands a certificate of the client that the TLS configuration has
	// verified, and Names one of these common names or DNS names in it.
	Certificate bool
	Names       []string
}

// A User is a name and a password.
type User struct{ Name, Password string }

// DeviceInfo says which device a request is about.
type DeviceInfo struct {
	Name    Expression
	Profile Expression // "default" if empty
}

// An Expression is a template with ${path} placeholders, for the members of the data, or
// a text that stands for itself.
type Expression struct {
	Text     string
	Constant bool
}

// A Datapoint says how one key gets its value.
type Datapoint struct {
	Key   string // template
	Value string // template
	Type  string // see expr.TypeOf

	// TimeField is the path of the time, with or without ${}. If nothing there can
	// be read, or it is empty, "ts" or "timestamp" of the data counts, or else the time
	// of receipt.
	TimeField string
	DayFirst  bool // 03.04.2024 is the third of April
	YearFirst bool // 10.11.12 is in 2010

	Report *telemetry.ReportPolicy // nil: that of the connector
}

// A Response says what is answered. Texts are templates with the placeholders
// ${deviceName}, ${status}, ${error}, ${attributeKey} and ${attributeValue}; in one that
// is JSON, values are made JSON.
type Response struct {
	Success     string // with status 200
	Failure     string // with any other; if empty: the status and the reason
	ContentType string // empty: application/json for JSON, or else text/plain

	// Expected makes the request wait until the shared attribute Attribute of the
	// device is updated on the platform, any attribute if that is empty. Its value is the
	// answer, unless Success has ${attributeValue}. Several requests that wait for
	// one attribute are answered in their order, by one update each. The attribute
	// responseExpected, true, tells the platform.
	Expected  bool
	Attribute string
	Timeout   time.Duration // DefaultAnswerTimeout if zero
}

// An AttributeRequest is a path that answers with attributes of the device, as a JSON
// object.
type AttributeRequest struct {
	Path    string
	Methods []string
	Auth    Auth
	Client  bool          // client-side attributes rather than shared ones
	Timeout time.Duration // DefaultTimeout if zero
	Device  string        // template of its name
	Names   string        // placeholders of the attributes' names, or names with commas between
}

// An AttributeUpdate is a request to make when a shared attribute changes. URL and
// Value have the placeholders ${deviceName}, ${attributeKey} and ${attributeValue}.
type AttributeUpdate struct {
	DeviceFilter    string // regular expression for the whole name
	AttributeFilter string // the same for the key
	Request
}

// An RPC is a request to make for a remote procedure call. URL and Value have the
// placeholders ${deviceName}, ${methodName}, ${requestId} (or ${restId}), ${params} and
// ${params.path}.
type RPC struct {
	DeviceFilter string
	MethodFilter string
	Request
}

// A Request is a request to a server of the device.
type Request struct {
	URL       string // template; http:// if there is no scheme
	Method    string // GET if empty
	Value     string // template of the body
	Headers   map[string]string
	User      *User                       // HTTP Basic
	TLS       func() (*tls.Config, error) // of the client; nil: the system's authorities
	Timeout   time.Duration               // of one attempt; DefaultTimeout if zero
	Tries     int                         // attempts; one if zero
	Redirects bool                        // follow them
}

func (c Config) withDefaults() Config {
	if len(c.Hosts) == 0 {
		c.Hosts = []string{"127.0.0.1"}
	}
	for _, d := range []struct {
		v   *int
		def int
	}{{&c.Port, DefaultPort}, {&c.MaxConnections, DefaultMaxConnections}, {&c.MaxBody, DefaultMaxBody}, {&c.MaxHeader, DefaultMaxHeader}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.HeaderTimeout, DefaultHeaderTimeout},
		{&c.ReadTimeout, DefaultReadTimeout},
		{&c.WriteTimeout, DefaultWriteTimeout},
		{&c.IdleTimeout, DefaultIdleTimeout},
		{&c.StoreTimeout, DefaultStoreTimeout},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return c
}

// A plan is a compiled Config.
type plan struct {
	routes  router
	updates []*update
	calls   []*call
}

// problems collects what is wrong, with the path of the key.
type problems struct {
	path string
	list *[]error
}

func (p problems) at(path string) problems { return problems{p.path + path + ".", p.list} }

func (p problems) item(key string, i int) problems { return p.at(fmt.Sprintf("%s[%d]", key, i)) }

func (p problems) add(key string, err error) {
	if err != nil {
		*p.list = append(*p.list, fmt.Errorf("%s%s: %w", p.path, key, err))
	}
}

var errMissing = errors.New("is missing")

// compile checks c and returns what it means. The error names every problem.
func (c Config) compile() (*plan, error) {
	var errs []error
	p, pl := problems{list: &errs}, new(plan)
	if c.MaxConnections < 0 || c.MaxBody < 0 || c.MaxHeader < 0 {
		p.add("server", errors.New("a limit is negative"))
	}
	if c.CORS != nil && len(c.CORS.Origins) == 0 {
		p.add("server.cors.origins", errMissing)
	}
	for i := range c.Endpoints {
		e, at := &c.Endpoints[i], p.item("mapping", i)
		c.checkAuth(e.Auth, at)
		pl.routes.add(e.Path, e.Methods, newIntake(e, c.Compatible, at).action(e), at)
	}
	for i := range c.AttributeRequests {
		q, at := &c.AttributeRequests[i], p.item("requestsMapping.attributeRequests", i)
		c.checkAuth(q.Auth, at)
		pl.routes.add(q.Path, q.Methods, newInquiry(q, at).action(q), at)
	}
	if c.OpenAPI != "" {
		pl.routes.add(c.OpenAPI, []string{http.MethodGet}, openAPIAction(c), p.at("server.openApiPath"))
	}
	for i, u := range c.AttributeUpdates {
		at := p.item("requestsMapping.attributeUpdates", i)
		pl.updates = append(pl.updates, &update{at.filter("deviceNameFilter", u.DeviceFilter), at.filter("attributeFilter", u.AttributeFilter), newOutgoing(u.Request, at)})
	}
	for i, r := range c.RPCs {
		at := p.item("requestsMapping.serverSideRpc", i)
		pl.calls = append(pl.calls, &call{at.filter("deviceNameFilter", r.DeviceFilter), at.filter("methodFilter", r.MethodFilter), newOutgoing(r.Request, at)})
	}
	return pl, errors.Join(errs...)
}

func (c Config) checkAuth(a Auth, p problems) {
	for _, u := range a.Users {
		if u.Name == "" {
			p.add("security.username", errMissing)
		}
	}
	for _, t := range a.Tokens {
		if strings.TrimSpace(t) == "" {
			p.add("security.token", errors.New("is empty"))
		}
	}
	if a.Certificate && c.TLS == nil {
		p.add("security.type", errors.New("there are certificates of clients with TLS only"))
	}
}
