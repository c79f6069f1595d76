package poll

import (
	"context"
	"errors"
	"time"
)

// serve runs e, which is not in the schedule, and puts what comes next there.
func (l *Lane) serve(ctx context.Context, e *entry) {
	err := e.poll(ctx, &l.turn)
	if ctx.Err() != nil {
		return
	}
	l.polls.Add(1)
	if err != nil {
		l.failed.Add(1)
	}
	if IsDown(err) && l.cfg.Open != nil {
		if l.mediumFailed(err) {
			l.due.add(e)
			return
		}
	}
	if err != nil {
		l.fail(ctx, e.device, err)
	} else {
		l.answered = true
		l.reopen.Reset()
		l.succeed(ctx, e.device)
	}
	if e.interval > 0 && !e.device.suspended && e.index < 0 {
		l.skipped.Add(e.advance(time.Now()))
		l.due.add(e)
	}
}

// mediumFailed closes the medium. It reports whether the poll should be repeated:
// the medium did work before, so the device is not to blame.
func (l *Lane) mediumFailed(err error) bool {
	if l.up {
		l.shut(err)
	}
	return l.worked
}

// fail records a failure of d.
func (l *Lane) fail(ctx context.Context, d *device, err error) {
	d.failures++
	switch {
	case d.suspended:
		if d.probe.index < 0 {
			d.probe.at = time.Now().Add(d.backoff.Next())
			l.due.add(d.probe)
		}
	case d.failures >= l.cfg.Failures:
		d.suspended = true
		l.suspended.Add(1)
		for _, e := range d.jobs {
			l.due.remove(e)
		}
		if d.probe.poll != nil {
			d.probe.at = time.Now().Add(d.backoff.Next())
			l.due.add(d.probe)
		}
		d.change(ctx, false, err)
	}
}

// succeed records an answer of d, and returns its jobs to their grids if it was
// suspended: the latest point that has gone by is due at once.
func (l *Lane) succeed(ctx context.Context, d *device) {
	d.failures = 0
	if d.suspended {
		d.suspended = false
		l.suspended.Add(-1)
		d.backoff.Reset()
		now := time.Now()
		for _, e := range d.jobs {
			l.skipped.Add(e.catchUp(now))
			l.due.add(e)
		}
	}
	d.change(ctx, true, nil)
}

// open tries to make the medium usable.
func (l *Lane) open(ctx context.Context) {
	err := l.cfg.Open(ctx)
	now := time.Now()
	if err != nil {
		l.reason, l.openAt = err, now.Add(l.reopen.Next())
		if ctx.Err() != nil {
			return
		}
		for _, d := range l.devices {
			l.fail(ctx, d, err)
		}
		return
	}
	l.up, l.answered, l.worked, l.reason = true, false, false, nil
	for _, d := range l.devices {
		if d.suspended && d.probe.index >= 0 {
			l.due.move(d.probe, now)
		}
	}
}

// shut closes the medium after err. If it had worked, it is opened again at once;
// if not, after a delay.
func (l *Lane) shut(err error) {
	l.up, l.reason, l.openAt = false, err, time.Now()
	if !l.answered {
		l.openAt = l.openAt.Add(l.reopen.Next())
	}
	l.answered, l.worked = false, l.answered
	l.close()
}

func (l *Lane) close() {
	if l.cfg.Close != nil {
		l.cfg.Close()
	}
}

func (l *Lane) downReason() error {
	if l.reason != nil {
		return l.reason
	}
	return errors.New("not opened yet")
}
