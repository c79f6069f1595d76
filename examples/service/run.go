package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/gateway/monitor"
	"github.com/gridlinks/iot-gateway/gateway/monitor/tbmetrics"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// run runs the gateway until the program is told to end.
func run(o options, log *logging.Log) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	slog.SetDefault(log.Logger())
	service, err := tbconfig.Open(o.config, tbconfig.Config{
		Types: protocols(), Version: version, Log: log, LogFiles: o.logFile == "",
	})
	if err != nil {
		return &wrongError{err}
	}
	var listener net.Listener
	if o.http != "" {
		var lc net.ListenConfig
		if listener, err = lc.Listen(context.Background(), "tcp", o.http); err != nil {
			return fmt.Errorf("-http: %w", err)
		}
		defer listener.Close()
	}
	opts, err := service.Options()
	if err != nil {
		return err
	}
	g, err := gateway.New(opts...)
	if err != nil {
		return err
	}
	p := &program{log: log.Logger(), service: service, gateway: g, notify: newNotifier(os.Getenv)}
	p.monitor = newMonitor(o, log, g, &p.stopping)
	return p.run(signals, listener)
}

// newMonitor returns what shows how g fares.
func newMonitor(o options, log *logging.Log, g *gateway.Gateway, stopping *atomic.Bool) *monitor.Monitor {
	client := func() tbclient.Stats { // of the client in use, which can change
		if c, ok := g.Platform().(*tbclient.Client); ok {
			return c.Stats()
		}
		return tbclient.Stats{}
	}
	cfg := monitor.Config{
		Version:    version,
		Gateway:    g.Stats,
		Errors:     log.Errors.Counts,
		Connected:  func() bool { return client().Connected },
		Collectors: []monitor.Collector{tbmetrics.Client(client)},
		Profiling:  o.profiles,

		StoreFailure: monitor.StoreFailure(g.Store),
		Ready: func() error {
			if stopping.Load() {
				return errStopping
			}
			return nil
		},
	}
	if o.devices {
		cfg.Devices = g.Devices
	}
	return monitor.New(cfg)
}

// program is the gateway with what is around it.
type program struct {
	log      *slog.Logger
	service  *tbconfig.Service
	gateway  *gateway.Gateway
	monitor  *monitor.Monitor
	notify   *notifier
	stopping atomic.Bool
}

// run runs everything until a signal or a failure ends it, and then waits for all
// of it.
func (p *program) run(signals <-chan os.Signal, listener net.Listener) error {
	ctx, stop := context.WithCancel(context.Background())
	around, stopAround := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopAround()
	defer stop()

	ended := make(chan error, 1)
	wg.Go(func() { ended <- p.gateway.Run(ctx) })
	wg.Go(func() {
		if err := p.service.Run(ctx, p.gateway); err != nil {
			p.log.Error("changes of the configuration are not followed", "error", err)
		}
	})
	if listener != nil {
		p.log.Info("metrics and health are served", "address", listener.Addr().String())
		wg.Go(func() {
			if err := monitor.Serve(around, listener, p.monitor); err != nil {
				p.log.Error("metrics and health are not served any more", "error", err)
			}
		})
	}
	wg.Go(func() { p.notify.watchdog(around, p.monitor.Alive, p.status, p.log) })
	p.tell("READY=1\nSTATUS=" + p.status())
	return p.obey(signals, ended, stop)
}

// obey does what signals say until the gateway has ended. Nothing is waited for
// after a second signal to end.
func (p *program) obey(signals <-chan os.Signal, ended <-chan error, stop func()) error {
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				p.reload()
			case p.stopping.Swap(true):
				p.log.Warn("told to end a second time, what is stored stays so")
				os.Exit(exitAtOnce)
			default:
				p.log.Info("told to end", "signal", sig.String())
				p.tell("STOPPING=1\nSTATUS=publishing what is stored")
				stop()
			}
		}
	}
}

// reload has the files looked at.
func (p *program) reload() {
	p.log.Info("told to read the configuration again")
	p.tell("RELOADING=1\n" + monotonic())
	p.service.Reload()
	p.tell("READY=1")
}

// tell tells systemd, if it wants to be told.
func (p *program) tell(state string) {
	if err := p.notify.send(state); err != nil {
		p.log.Warn("systemd is not told", "state", state, "error", err)
	}
}

// status says in a line how the gateway fares.
func (p *program) status() string {
	s := p.gateway.Stats()
	running := 0
	for _, c := range s.Connectors {
		if c.State == gateway.Running {
			running++
		}
	}
	return fmt.Sprintf("%d of %d connectors run, %d records wait for the platform", running, len(s.Connectors), s.Store.Pending)
}
