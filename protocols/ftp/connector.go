package ftp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Connector reads the files of a server.
type Connector struct {
	cfg Config
	all *compiled
	err error // why the configuration cannot be used
	run atomic.Pointer[run]

	commands chan struct{} // the sessions of commands

	files, rows, malformed atomic.Uint64
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
)

// maxCommands is how many commands have a session of their own at a time.
const maxCommands = 4

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector {
	c := &Connector{cfg: cfg.withDefaults(), commands: make(chan struct{}, maxCommands)}
	var err error
	if c.all, err = c.cfg.compile(); err != nil {
		c.err = fmt.Errorf("ftp: configuration: %w", err)
	}
	return c
}

// Stats are counts since New.
type Stats struct {
	Files     uint64 // delivered, each time that they changed
	Rows      uint64 // lines or objects of them
	Malformed uint64 // rows that were left out, and files that could not be read
}

// Stats returns counts. It does not block.
func (c *Connector) Stats() Stats {
	return Stats{Files: c.files.Load(), Rows: c.rows.Load(), Malformed: c.malformed.Load()}
}

// A run is one run of a Connector. What is not safe for concurrent use is the lane's.
type run struct {
	c       *Connector
	host    connector.Host
	log     *slog.Logger
	ctx     context.Context
	journal *journal

	session Session
	batch   telemetry.Batch
	last    int64 // latest time that was given to a row
}

// Run implements connector.Connector.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	j, err := openJournal(c.cfg.State, c.cfg.Server)
	if err != nil {
		return fmt.Errorf("ftp: %w", err)
	}
	defer j.close()
	r := &run{c: c, host: host, log: host.Logger(), ctx: ctx, journal: j, last: j.last()}
	var devices []poll.Device
	for _, p := range c.all.paths {
		devices = append(devices, poll.Device{
			Name:    p.Pattern,
			Jobs:    []poll.Job{{Interval: p.Period, Poll: func(ctx context.Context, t *poll.Turn) error { return r.poll(ctx, p, t) }}},
			Changed: func(_ context.Context, online bool, err error) { r.changed(p, online, err) },
		})
	}
	lane, err := poll.NewLane(poll.Config{Open: r.open, Close: r.close, Failures: 1}, devices...)
	if err != nil {
		return fmt.Errorf("ftp: %w", err)
	}
	if len(devices) == 0 {
		host.Ready()
	}
	c.run.Store(r)
	defer c.run.CompareAndSwap(r, nil)
	return lane.Run(ctx)
}

// open connects for the polls.
func (r *run) open(ctx context.Context) error {
	s, err := r.c.cfg.Dial(ctx)
	if err != nil {
		return err
	}
	r.session = s
	r.host.Ready()
	return nil
}

func (r *run) close() {
	if r.session != nil {
		_ = r.session.Close()
		r.session = nil
	}
}

// changed logs that files can be looked for, or not any more.
func (r *run) changed(p *files, online bool, err error) {
	log := r.log.With(slog.String("path", p.Pattern))
	if online {
		log.Info("files are looked for")
		return
	}
	log.Warn("files cannot be looked for", slog.Any("error", err))
}

var errNotRunning = errors.New("ftp: the connector is not running")

// do runs f with a session of its own, so that no transfer holds it up.
func (r *run) do(ctx context.Context, f func(ctx context.Context, s Session) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	select {
	case r.c.commands <- struct{}{}:
		defer func() { <-r.c.commands }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s, err := r.c.cfg.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return f(ctx, s)
}
