package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of the options.
const (
	DefaultDrainTimeout   = 5 * time.Second
	DefaultStopTimeout    = 10 * time.Second
	DefaultWindow         = 32        // publications
	DefaultPublishRecords = 512       // records in one publication
	DefaultPublishBytes   = 16 * 1024 // encoded bytes in one publication, about 40 kB of JSON
)

// An Option configures a Gateway. Of two options that say different things,
// the later one applies.
type Option func(*options)

type options struct {
	platform   Platform
	store      eventstore.EventStore
	policy     *telemetry.ReportPolicy
	connectors []added
	log        *slog.Logger
	backoff    backoff.Backoff
	drain      time.Duration
	stop       time.Duration
	window     int
	limit      eventstore.Limit
	origin     bool
	owned      bool
	closers    []func() error // of owned stores that another took the place of
	grace      time.Duration
	methods    map[string]RPCFunc
	restart    func(context.Context, time.Duration) error
	reboot     func(context.Context, time.Duration) error
	removal    func(context.Context) error
	version    string
	deviceFile string
	doors      *doors
	idle       time.Duration
	errs       []error
}

// added is a connector that WithConnector named.
type added struct {
	name string
	c    connector.Connector
	opts []ConnectorOption
}

// WithPlatform sets the northbound side. It is required.
func WithPlatform(p Platform) Option { return func(o *options) { o.platform = p } }

// WithStore sets the event store. The default keeps events in memory.
// The gateway does not close a store that it was given.
func WithStore(s eventstore.EventStore) Option {
	return func(o *options) { o.setStore(s, false) }
}

// WithOwnedStore is like WithStore, and the gateway closes the store when Run
// returns.
func WithOwnedStore(s eventstore.EventStore) Option {
	return func(o *options) { o.setStore(s, true) }
}

func (o *options) setStore(s eventstore.EventStore, owned bool) {
	if o.owned && o.store != s {
		o.closers = append(o.closers, o.store.Close)
	}
	o.store, o.owned = s, owned
}

// WithGrace sets how long a connector that has replaced another has to speak
// for the devices of that, before they are announced as gone. The default is
// [DefaultGrace].
func WithGrace(d time.Duration) Option { return func(o *options) { o.grace = d } }

// WithConnector adds a connector under a name that is unique in the gateway.
func WithConnector(name string, c connector.Connector, opts ...ConnectorOption) Option {
	return func(o *options) { o.connectors = append(o.connectors, added{name, c, opts}) }
}

// WithReportPolicy sets the policy of every connector that has none of its
// own.
func WithReportPolicy(p telemetry.ReportPolicy) Option {
	return func(o *options) {
		if err := checkPolicy(&p); err != nil {
			o.errs = append(o.errs, err)
		}
		o.policy = &p
	}
}

// WithLogger sets the logger. The default is slog.Default().
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// WithBackoff sets the bounds of the delay before something that failed is
// tried again. The default is 1 s to 60 s.
func WithBackoff(shortest, longest time.Duration) Option {
	return func(o *options) { o.backoff = backoff.Backoff{Shortest: shortest, Longest: longest} }
}

// WithDrainTimeout sets how long Run, once its context is done, goes on
// publishing what is stored. What is left stays in the store.
func WithDrainTimeout(d time.Duration) Option { return func(o *options) { o.drain = d } }

// WithStopTimeout sets how long a connector may take to return once its
// context is done, before the gateway goes on without it.
func WithStopTimeout(d time.Duration) Option { return func(o *options) { o.stop = d } }

// WithPublishWindow sets how many publications may await the platform's
// acknowledgement, and how large one may be in stored records and bytes.
func WithPublishWindow(n int, lim eventstore.Limit) Option {
	return func(o *options) { o.window, o.limit = n, lim }
}

// WithOrigin keeps with each batch which connector submitted it and when, in
// the Connector and Received of its groups. A platform client can tell the
// platform, which then knows how long data is under way. It costs a dozen bytes
// a record.
func WithOrigin() Option { return func(o *options) { o.origin = true } }

// A ConnectorOption configures one connector in its gateway.
type ConnectorOption func(*running)

// WithType tells the type of the connector, as configuration files call it.
// Remote procedure calls to the connectors of a type are named after it.
func WithType(name string) ConnectorOption { return func(r *running) { r.kind = name } }

// WithPolicy sets the connector's report policy.
func WithPolicy(p telemetry.ReportPolicy) ConnectorOption {
	return func(r *running) {
		if err := checkPolicy(&p); err != nil {
			r.err = errors.Join(r.err, err)
		}
		r.policy = &p
	}
}

// WithDevicePolicy sets the report policy of one of the connector's devices.
func WithDevicePolicy(device string, p telemetry.ReportPolicy) ConnectorOption {
	return func(r *running) {
		if err := checkPolicy(&p); err != nil {
			r.err = errors.Join(r.err, fmt.Errorf("device %q: %w", device, err))
		}
		if r.own == nil {
			r.own = make(map[string]*telemetry.ReportPolicy)
		}
		r.own[device] = &p
	}
}

func checkPolicy(p *telemetry.ReportPolicy) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}
