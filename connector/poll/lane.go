package poll

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// The defaults of [Config].
const (
	DefaultFailures = 3
	DefaultSpread   = 5 * time.Second
)

// Config configures a [Lane]. The zero Config works.
type Config struct {
	// Open, if not nil, makes the medium usable: it connects. It is called
	// before the first request, and after each failure of the medium. Close,
	// if not nil, is called once for each Open that succeeded.
	Open  func(ctx context.Context) error
	Close func()

	// Failures is the number of consecutive failures after which a device is
	// suspended. Zero: DefaultFailures. An Open that fails is a failure of
	// every device.
	Failures int

	// Shortest and Longest bound the delays between the probes of a suspended
	// device, and between the attempts to open the medium. Zero: one second,
	// one minute.
	Shortest, Longest time.Duration

	// Spread is the time over which the first polls of the devices are spread,
	// at most their interval. Zero: DefaultSpread. Negative: all start at once.
	Spread time.Duration

	// First is the number of devices on other lanes that come before those of
	// this lane in the spreading.
	First int

	// Queue is the number of commands that may wait. Zero: DefaultQueue.
	Queue int
}

// A Lane runs the polls and commands of one medium, one at a time. Do and Stats
// may be called from any goroutine, and before, during and after Run.
type Lane struct {
	cfg     Config
	devices []*device

	polls, failed, skipped, commands, suspended, sleeps atomic.Int64

	wake chan struct{}

	mu      sync.Mutex
	running bool
	queue   []*command

	// The rest belongs to Run.
	due      schedule
	up       bool // the medium is open
	answered bool // a poll succeeded since it was opened
	worked   bool // a poll had succeeded when it was shut last
	openAt   time.Time
	reason   error // why the medium is not open
	reopen   backoff.Backoff
	turn     Turn
}

// NewLane returns a lane for devices. It starts nothing.
func NewLane(cfg Config, devices ...Device) (*Lane, error) {
	if cfg.Failures <= 0 {
		cfg.Failures = DefaultFailures
	}
	if cfg.Spread == 0 {
		cfg.Spread = DefaultSpread
	}
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	l := &Lane{cfg: cfg, wake: make(chan struct{}, 1), reopen: backoff.Backoff{Shortest: cfg.Shortest, Longest: cfg.Longest}}
	l.turn.lane = l
	var errs []error
	for _, d := range devices {
		dev, err := newDevice(d, cfg)
		errs = append(errs, err)
		l.devices = append(l.devices, dev)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// Stats counts what a lane did since it was made.
type Stats struct {
	Polls     int64 // polls and probes that were run
	Failed    int64 // of these, the ones that returned an error
	Skipped   int64 // cycles that were left out because the lane was late
	Commands  int64 // commands that were run
	Suspended int64 // devices that are suspended now
}

// Stats returns the lane's counters.
func (l *Lane) Stats() Stats {
	return Stats{
		Polls:     l.polls.Load(),
		Failed:    l.failed.Load(),
		Skipped:   l.skipped.Load(),
		Commands:  l.commands.Load(),
		Suspended: l.suspended.Load(),
	}
}

// Run polls until ctx is done, and returns its error. It can be called again
// after it has returned, and then starts afresh.
func (l *Lane) Run(ctx context.Context) error {
	if err := l.start(time.Now()); err != nil {
		return err
	}
	defer l.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if !l.up && !time.Now().Before(l.openAt) {
			l.open(ctx)
			continue
		}
		l.runCommands(ctx)
		if !l.step(ctx) {
			l.sleep(ctx, timer)
		}
	}
	return ctx.Err()
}

func (l *Lane) start(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running {
		return errRunning
	}
	l.running = true
	l.due = l.due[:0]
	l.up, l.answered, l.openAt, l.reason = l.cfg.Open == nil, false, now, nil
	l.reopen.Reset()
	l.suspended.Store(0)
	order := 0
	for i, d := range l.devices {
		d.reset()
		phase := Phase(l.cfg.First + i)
		for _, e := range d.jobs {
			spread := max(min(l.cfg.Spread, e.interval), 0)
			e.at, e.order = now.Add(time.Duration(phase*float64(spread))), order
			order++
			l.due.add(e)
		}
		d.probe.order = order
		order++
	}
	return nil
}

func (l *Lane) stop() {
	l.mu.Lock()
	queue := l.queue
	l.queue, l.running = nil, false
	l.mu.Unlock()
	for _, c := range queue {
		c.done <- ErrStopped
	}
	for _, e := range l.due {
		e.index = -1
	}
	if l.up {
		l.up = false
		l.close()
	}
}

// step serves the entry that is due. It reports whether there was one.
func (l *Lane) step(ctx context.Context) bool {
	if !l.up || len(l.due) == 0 || l.due[0].at.After(time.Now()) {
		return false
	}
	e := l.due[0]
	l.due.remove(e)
	l.serve(ctx, e)
	return true
}

// sleep waits until something is due, a command arrives or ctx is done.
func (l *Lane) sleep(ctx context.Context, timer *time.Timer) {
	l.sleeps.Add(1)
	var due <-chan time.Time
	switch {
	case !l.up:
		timer.Reset(time.Until(l.openAt))
		due = timer.C
	case len(l.due) > 0:
		timer.Reset(time.Until(l.due[0].at))
		due = timer.C
	}
	select {
	case <-due:
	case <-l.wake:
	case <-ctx.Done():
	}
}
