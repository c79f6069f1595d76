package statistics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults and the bound of the settings.
const (
	DefaultPeriod        = time.Minute
	DefaultCommandPeriod = 5 * time.Minute
	ShortestPeriod       = 10 * time.Second
)

// A Publisher publishes data of the gateway's own device and returns when the
// platform has it. *tbclient.Client is one.
type Publisher interface {
	PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error
}

// Config configures a Collector. Gateway is required.
type Config struct {
	Settings

	// Gateway returns the state of the gateway.
	Gateway func() gateway.Stats

	// Platform returns what the client of the platform has counted. Nil: the
	// keys that are made of it are left out.
	Platform func() Platform

	// Errors returns how many errors there have been, by their source, as
	// logging.Errors.Counts does. Nil: the keys that are made of it are left out.
	Errors func() map[string]uint64

	// Runner runs the commands of the settings. Nil: they are not run, which is
	// logged.
	Runner Runner

	// Disk is a path on the disk that diskUsage and freeDisk are about. Zero:
	// the root, as in the Python gateway.
	Disk string

	Logger *slog.Logger // zero: slog.Default()
}

// Platform is what the client of a platform has counted since it was made.
type Platform struct {
	Sent     uint64 // publications of data
	Received uint64 // calls and attribute updates
}

// Settings is what can change while a Collector runs.
type Settings struct {
	// Period is the time between two messages of statistics. Zero:
	// DefaultPeriod; it is ShortestPeriod at least. Negative: there are none,
	// neither are attributes and counts of errors.
	Period time.Duration

	// CommandPeriod is the time between two runs of Commands. Zero:
	// DefaultCommandPeriod; negative: they are not run.
	CommandPeriod time.Duration
	Commands      []Command
}

func (s *Settings) setDefaults() {
	if s.Period == 0 {
		s.Period = DefaultPeriod
	}
	if s.Period > 0 {
		s.Period = max(s.Period, ShortestPeriod)
	}
	if s.CommandPeriod == 0 {
		s.CommandPeriod = DefaultCommandPeriod
	}
}

// A Collector publishes statistics while its Run runs. Its methods may be called
// concurrently.
type Collector struct {
	cfg     Config
	log     *slog.Logger
	machine machine

	mu       sync.Mutex
	settings Settings
	changed  chan struct{} // closed, and replaced, when settings change

	// What follows is of whoever publishes statistics, one at a time.
	attributed bool // the attributes have been published
	last       sample
	errors     errorWindow

	// And this of whoever runs commands.
	refused bool // it has been said that there is no Runner
	failing map[string]bool
}

// New returns a Collector.
func New(cfg Config) *Collector {
	if cfg.Disk == "" {
		cfg.Disk = "/"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	c := &Collector{cfg: cfg, log: cfg.Logger, machine: newMachine(cfg.Disk), changed: make(chan struct{}), failing: make(map[string]bool)}
	c.settings = cfg.Settings
	c.settings.setDefaults()
	return c
}

// Set changes the settings, also while Run runs. No count is lost. It does not
// retain the commands.
func (c *Collector) Set(s Settings) {
	s.setDefaults()
	s.Commands = append([]Command(nil), s.Commands...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// current returns the settings, and a channel that is closed when they change.
func (c *Collector) current() (Settings, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings, c.changed
}

// Run publishes by p, at once and then each period, until ctx is done, and
// returns nil. It may be called again then, and goes on counting where it ended,
// but not twice at a time. While the platform is away it waits, and the counts
// add up.
func (c *Collector) Run(ctx context.Context, p Publisher) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.every(ctx, commandPeriod, func() { c.runCommands(ctx, p) }) })
	if c.cfg.Errors != nil {
		wg.Go(func() { c.every(ctx, errorPeriod, func() { c.publishErrors(ctx, p) }) })
	}
	var state report
	c.every(ctx, func(s Settings) time.Duration { return s.Period }, func() {
		state.note(ctx, c.log, c.publish(ctx, p))
	})
	return nil
}

func commandPeriod(s Settings) time.Duration {
	if len(s.Commands) == 0 {
		return -1
	}
	return s.CommandPeriod
}

// every calls f at once, and then in the period that the settings say, until ctx
// is done. A negative period means never.
func (c *Collector) every(ctx context.Context, period func(Settings) time.Duration, f func()) {
	for ctx.Err() == nil {
		began := time.Now()
		if s, _ := c.current(); period(s) >= 0 {
			f()
		}
		for again := false; !again && ctx.Err() == nil; {
			s, changed := c.current()
			again = wait(ctx, began, period(s), changed)
		}
	}
}

// wait returns true when a period has passed since began, and false when there is
// something to look at before.
func wait(ctx context.Context, began time.Time, period time.Duration, changed <-chan struct{}) bool {
	var over <-chan time.Time
	if period >= 0 {
		t := time.NewTimer(time.Until(began.Add(period)))
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return true
	case <-changed:
	case <-ctx.Done():
	}
	return false
}

// publish publishes the attributes, if they have not been, and the statistics.
func (c *Collector) publish(ctx context.Context, p Publisher) error {
	s, _ := c.current()
	ctx, cancel := context.WithTimeout(ctx, max(s.Period, ShortestPeriod))
	defer cancel()
	now := c.sample()
	points, err := c.points(now)
	if err != nil {
		return err
	}
	var attributes []telemetry.Point
	if !c.attributed {
		attributes = c.attributes()
	}
	if err := p.PublishOwn(ctx, points, attributes); err != nil {
		return err
	}
	c.attributed, c.last = true, now
	return nil
}

// A report logs the changes between publications that succeed and that fail.
type report struct{ failing bool }

func (r *report) note(ctx context.Context, log *slog.Logger, err error) {
	if ctx.Err() != nil || (err != nil) == r.failing {
		return
	}
	r.failing = err != nil
	if r.failing {
		log.Warn("statistics not published, what they count is kept", "error", err)
	} else {
		log.Info("statistics are published again")
	}
}
