package poll

import (
	"context"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// A Device is something on a lane that answers, or does not.
type Device struct {
	// Name names the device in errors.
	Name string

	// Jobs are what is polled. Jobs of equal interval come due together, in
	// this order.
	Jobs []Job

	// Probe is one cheap request that shows whether a suspended device answers
	// again. Nil: the first job's Poll.
	Probe func(ctx context.Context) error

	// Changed, if not nil, is told when the device answers for the first time
	// or again (online, nil), and when it is suspended (not online, the error
	// of its last failure). It is called on the lane's goroutine, which waits
	// for it, once per change.
	Changed func(ctx context.Context, online bool, err error)
}

// A Job is a poll that repeats.
type Job struct {
	// Interval is the time from the start of one poll to the start of the
	// next. It must be positive.
	Interval time.Duration

	// Poll carries out one poll. It is called on the lane's goroutine, never
	// overlaps with anything else on the lane, and should end soon after ctx
	// is done. An error counts as a failure of the device, or of the medium if
	// it is [Down].
	Poll func(ctx context.Context, t *Turn) error
}

// A device is the state of a Device while its lane runs.
type device struct {
	Device
	jobs      []*entry
	probe     *entry
	failures  int
	known     bool // Changed was called
	online    bool // what Changed was told last
	suspended bool
	backoff   backoff.Backoff
}

func newDevice(d Device, cfg Config) (*device, error) {
	dev := &device{Device: d, backoff: backoff.Backoff{Shortest: cfg.Shortest, Longest: cfg.Longest}}
	for i, j := range d.Jobs {
		if j.Interval <= 0 {
			return nil, fmt.Errorf("poll: device %q: job %d: interval %v is not positive", d.Name, i, j.Interval)
		}
		if j.Poll == nil {
			return nil, fmt.Errorf("poll: device %q: job %d has no Poll", d.Name, i)
		}
		dev.jobs = append(dev.jobs, &entry{device: dev, interval: j.Interval, poll: j.Poll, index: -1})
	}
	dev.probe = &entry{device: dev, index: -1}
	switch {
	case d.Probe != nil:
		dev.probe.poll = func(ctx context.Context, _ *Turn) error { return d.Probe(ctx) }
	case len(d.Jobs) > 0:
		dev.probe.poll = d.Jobs[0].Poll
	}
	return dev, nil
}

// reset forgets what an earlier Run found out.
func (d *device) reset() {
	d.failures, d.known, d.online, d.suspended = 0, false, false, false
	d.backoff.Reset()
}

func (d *device) change(ctx context.Context, online bool, err error) {
	if d.known && d.online == online {
		return
	}
	d.known, d.online = true, online
	if d.Changed != nil {
		d.Changed(ctx, online, err)
	}
}
