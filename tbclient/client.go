package tbclient

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Config configures a Client. Broker is required by Dial, and so is a
// credential: an access token, or a user name, client identifier or client
// certificate.
type Config struct {
	// Broker is scheme://host[:port] with scheme tcp, tls, ws or wss, such as
	// "tls://demo.thingsboard.io:8883".
	Broker string

	// Version is the version of MQTT: 4 for 3.1.1, or 5, with which the platform
	// gives reasons. Zero: 4.
	Version int

	AccessToken string // sent as the user name, in place of Username and Password
	Username    string
	Password    string
	ClientID    string

	// TLS makes the connection encrypted whatever the scheme. With a scheme
	// that is encrypted, nil means the system's roots. The platform's
	// certificate is verified unless TLS says otherwise.
	TLS *tls.Config

	// TLSFiles, if not nil, is used in place of TLS. The files are read again
	// when they have changed, and it is logged when a certificate is about to
	// expire.
	TLSFiles *TLSFiles

	// Credentials, if not nil, is called before each connection and sets the
	// credentials, and TLS if they are a certificate, of a copy of the Config.
	// It may take its time, until ctx is done; data is stored meanwhile. See the
	// package tbclient/provision.
	Credentials func(ctx context.Context, cfg *Config) error

	// Proxy is the address of a proxy to connect through, such as
	// "http://user:password@host:3128" or "socks5://host:1080".
	Proxy string

	// Timeout is how long the platform may take to acknowledge a packet or to
	// answer a request. Zero: 30 seconds.
	Timeout time.Duration

	// RPCTimeout is how long a device may take to carry out a remote procedure
	// call or an attribute update, from its arrival. The platform does not tell
	// its own time-out. Zero: 10 seconds.
	RPCTimeout time.Duration

	KeepAlive      time.Duration // between pings of an idle connection; zero: 60 seconds
	ConnectTimeout time.Duration // zero: 15 seconds
	WriteTimeout   time.Duration // of one packet; zero: 10 seconds

	// Window and WindowBytes bound the publications that await their
	// acknowledgement. A platform that allows less is respected. Zero: 100
	// publications and 1 MiB.
	Window      int
	WindowBytes int

	// Rates limit what is sent for the devices behind the gateway, and OwnRates
	// what is sent for the gateway's own device, in addition to what the
	// platform tells. The client waits rather than exceed them, and drops
	// nothing for it.
	Rates    Rates
	OwnRates Rates

	// Confirm is how long a connection must outlive an acknowledgement before
	// the data counts as delivered. Over MQTT 3.1.1 the platform acknowledges
	// also what it drops because a rate limit is exceeded, and then closes the
	// connection; with a second here such data is published again. Zero: an
	// acknowledgement is enough.
	Confirm time.Duration

	// Suspect is how many connections in a row the platform may close, while
	// data is under way and before it has acknowledged any, until the client
	// looks for the part of the data that the platform does not take. That part
	// is written to the file Quarantine, one JSON object a line, and passed
	// over. The file is limited to 10 MiB, and one older file is kept as well.
	// Zero: 3 connections. Without a file the data is in the log only.
	Suspect    int
	Quarantine string

	// Names is the file that keeps which devices were renamed on the platform;
	// the gateway goes on to use the old name. Without a file that is forgotten
	// when the client ends. IgnoreRenames makes the client not follow.
	Names         string
	IgnoreRenames bool

	// KeepUnsynced makes the client not ask for the shared attributes of
	// devices that have been announced, even if their connector wants them.
	KeepUnsynced bool

	// IdleTimeout is how long a device may be without data until the platform
	// is told that it is disconnected. Its next data connects it again. Zero:
	// devices stay connected.
	IdleTimeout time.Duration

	// Protobuf makes the client speak protobuf in place of JSON about the
	// devices behind the gateway, which the gateway's profile on the platform
	// has to ask for too. Values then keep their kinds; claims are not
	// possible.
	Protobuf bool

	// MaxPayload is the largest payload that the platform takes, in bytes; four
	// fifths of it are used. A platform that allows less is respected. Zero:
	// 65536, the server's default.
	MaxPayload int

	// ShortestBackoff and LongestBackoff bound the delay before reconnecting.
	// Zero: one second, and 15 seconds, so that data flows again soon after a
	// long outage.
	ShortestBackoff time.Duration
	LongestBackoff  time.Duration

	// GatewayRPC carries out remote procedure calls to the gateway's own
	// device, before the gateway is asked; the request's Device is empty. Calls
	// of methods that begin alike, up to the first underscore, come in order. It
	// returns as HandleRPC of [connector.RPCHandler] does, and [ErrMethod] for a
	// method that it leaves to the gateway. Calls of gateway_ping do not reach
	// it. Nil leaves all methods.
	GatewayRPC func(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error)

	Logger *slog.Logger // zero: slog.Default()
}

// controlWindow bounds the replies, requests and announcements that await
// their acknowledgement, and controlBytes their size.
const (
	controlWindow = 100
	controlBytes  = 1 << 20
)

func (cfg *Config) setDefaults() {
	setDefault(&cfg.Timeout, 30*time.Second)
	setDefault(&cfg.RPCTimeout, 10*time.Second)
	setDefault(&cfg.KeepAlive, time.Minute)
	setDefault(&cfg.ConnectTimeout, 15*time.Second)
	setDefault(&cfg.WriteTimeout, 10*time.Second)
	setDefault(&cfg.LongestBackoff, max(15*time.Second, cfg.ShortestBackoff))
	setDefault(&cfg.Window, 100)
	setDefault(&cfg.WindowBytes, 1<<20)
	setDefault(&cfg.MaxPayload, 65536)
	setDefault(&cfg.Suspect, 3)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// A Client is a gateway.Platform that speaks to ThingsBoard. Its methods may be
// called concurrently.
type Client struct {
	cfg Config
	tr  Transport
	log *slog.Logger

	running atomic.Bool
	count   counters
	warned  struct{ skipped, oversize, malformed, busy, refused, quarantined quiet }
	names   names
	codec   codec
	rates   limiters // of the devices behind the gateway
	own     limiters // of the gateway's own device

	turn chan struct{} // holds one token: whoever takes it may send data
	enc  encoder       // of whoever has the turn

	mu       sync.Mutex
	link     *link         // nil while there is no connection
	changed  chan struct{} // closed, and replaced, when link changes
	lastID   int64
	requests map[string]func(payload []byte) // by the topic of the answer
	queries  map[int64]chan answer           // of attributes
	watchers map[*watcher]struct{}           // of the own device's attributes
	devices  map[string]*device
	dirty    []string // devices whose state on the platform is out of date
	unsynced []string // devices whose shared attributes are to be asked for
	limits   limits
	suspicion
	lastErr error  // of the last attempt to connect
	links   uint64 // connections so far; each has a number
	lost    uint64 // the last connection that ended with data unacknowledged
	noticed uint64 // the last connection whose end a caller of Publish saw

	stir chan struct{} // holds a token while dirty is not empty
	sync chan struct{} // and while unsynced is not
}

var (
	_ gateway.Platform = (*Client)(nil)
	_ gateway.Prober   = (*Client)(nil)
	_ gateway.Excluder = (*Client)(nil)
	_ gateway.Renamer  = (*Client)(nil)
)

// Dial returns a client that connects to cfg.Broker when it is run.
func Dial(cfg Config) *Client {
	return New(cfg, newMQTTTransport(cfg))
}

// New returns a client that works over tr. It uses neither the address nor the
// credentials of cfg.
func New(cfg Config, tr Transport) *Client {
	cfg.setDefaults()
	c := &Client{
		cfg:      cfg,
		tr:       tr,
		log:      cfg.Logger,
		codec:    jsonCodec{},
		turn:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
		requests: make(map[string]func([]byte)),
		queries:  make(map[int64]chan answer),
		watchers: make(map[*watcher]struct{}),
		devices:  make(map[string]*device),
		stir:     make(chan struct{}, 1),
		sync:     make(chan struct{}, 1),
	}
	if cfg.Protobuf {
		c.codec = protoCodec{}
		c.enc.protobuf = true
	}
	c.enc.skip = c.skipped
	c.enc.tooLarge = c.tooLarge
	c.enc.rename = c.names.platform
	c.names.path = cfg.Names
	if err := c.names.load(); err != nil {
		c.log.Error("renamed devices are not known, they are announced under their old names", "error", err)
	}
	c.setRates(limits{})
	return c
}

// steady is how long a connection must live to make the next reconnection wait
// the shortest delay again.
const steady = 10 * time.Second

// Run implements gateway.Platform. It reconnects for ever, and returns nil once
// ctx is done: after the calls under way have been answered and the platform
// was told.
func (c *Client) Run(ctx context.Context, d gateway.Downlink) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("tbclient: client is already running")
	}
	defer c.running.Store(false)
	dl := newDownlink(ctx, c, d)
	defer dl.finish()
	if f := c.cfg.TLSFiles; f != nil {
		var watch sync.WaitGroup
		watch.Go(func() { f.files().WarnExpiry(ctx, c.log, f.warnDays(), f.CheckEvery) })
		defer watch.Wait()
	}
	delay := backoff.Backoff{Shortest: c.cfg.ShortestBackoff, Longest: c.cfg.LongestBackoff}
	var state report
	for ctx.Err() == nil {
		lived, err := c.serve(ctx, dl, &state)
		if ctx.Err() != nil {
			break
		}
		c.mu.Lock()
		c.lastErr = err
		c.mu.Unlock()
		state.down(c.log, err)
		if lived >= steady || lived > 0 && c.isCareful() {
			delay.Reset()
		}
		if delay.Wait(ctx) != nil {
			break
		}
	}
	return nil
}

// A report logs the changes of the connection's state, and nothing else.
type report struct {
	state int // of the constants below
}

const (
	starting = iota
	up
	lost
	unreachable
	refused
)

func (r *report) up(log *slog.Logger) {
	r.state = up
	log.Info("connected to the platform")
}

func (r *report) down(log *slog.Logger, err error) {
	switch was := r.state; {
	case was == up:
		r.state = lost
		log.Warn("connection to the platform lost, reconnecting", "error", err)
	case errors.Is(err, ErrCredentials):
		r.state = refused
		if was != refused {
			log.Error("the platform refuses the credentials, trying on", "error", err)
		}
	case was != unreachable && was != lost:
		r.state = unreachable
		log.Warn("cannot connect to the platform, trying on", "error", err)
	default:
		log.Debug("cannot connect to the platform", "error", err)
	}
}
