package ota

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// An Updater keeps the firmware or software of a gateway's own device up to
// date.
type Updater struct {
	cfg     Config
	running atomic.Bool
	space   func(folder string) (int64, bool) // replaced by tests
}

// New returns an Updater that works while it is run.
func New(cfg Config) *Updater {
	cfg.setDefaults()
	return &Updater{cfg: cfg, space: freeSpace}
}

// Run updates until ctx is done, and then returns nil once an installation that
// is under way has returned. An error says that the configuration is incomplete,
// or that the Updater is running already.
func (u *Updater) Run(ctx context.Context, p Platform) error {
	if err := u.cfg.check(); err != nil {
		return err
	}
	if !u.running.CompareAndSwap(false, true) {
		return errors.New("ota: the updater is already running")
	}
	defer u.running.Store(false)
	r := &run{
		cfg: u.cfg, platform: p, space: u.space,
		inbox: newInbox(u.cfg.Kind), files: newFiles(u.cfg.Folder, u.cfg.Kind),
		title: u.cfg.Title, version: u.cfg.Version,
	}
	defer p.WatchOwnAttributes(r.inbox.notify)()
	defer r.stop(nil)
	if err := r.restore(ctx); err != nil {
		return nil
	}
	for {
		a, err := r.read(ctx)
		if err != nil {
			return nil
		}
		r.decide(ctx, a)
		if !r.wait(ctx) {
			return nil
		}
	}
}

// A run is one call of Run.
type run struct {
	cfg      Config
	platform Platform
	space    func(folder string) (int64, bool)
	inbox    *inbox
	files    files
	job      *job // the update under way, or nil

	// What follows belongs to the job while there is one.
	title, version string // that run now
	state          state  // that was reported last
	failed         *record
}

// A job is the update to one package.
type job struct {
	id     identity
	cancel context.CancelCauseFunc
	done   chan struct{}
}

var (
	errReplaced    = errors.New("another package was announced, or this one withdrawn")
	errChecksum    = errors.New("the package is not what was announced")
	errUnavailable = errors.New("the platform does not give the package")
)

// restore looks at what the last process has left.
func (r *run) restore(ctx context.Context) error {
	rec := r.files.load()
	switch rec.Phase {
	case installing, installed:
		if r.runs(rec.identity) {
			err := r.report(ctx, stateUpdated, "")
			if err == nil {
				r.discard()
			}
			return err
		}
		rec.Phase = notWorking
		rec.Reason = fmt.Sprintf("%s %s was installed, but %s %s runs", rec.Title, rec.Version, r.title, r.version)
		r.keep(rec)
		r.failed = &rec
	case notWorking:
		r.failed = &rec
	}
	return nil
}

// runs reports whether a package is what runs now.
func (r *run) runs(id identity) bool { return id.Title == r.title && id.Version == r.version }

// discard removes the files. What remains does no harm.
func (r *run) discard() {
	if err := r.files.discard(); err != nil {
		r.cfg.Logger.Debug("files of an update were not removed", "error", err)
	}
}

// keep saves a failure for the next process.
func (r *run) keep(rec record) {
	if err := r.files.save(rec); err != nil {
		r.cfg.Logger.Warn("the update may be tried again after a restart", "kind", r.cfg.Kind, "error", err)
	}
}

// read reads the attributes. It tries until the platform answers; the error is
// that of ctx.
func (r *run) read(ctx context.Context) (announcement, error) {
	var delay backoff.Backoff
	for {
		_, points, err := r.platform.OwnAttributes(ctx, nil, r.inbox.keys)
		if err == nil {
			return announced(r.cfg.Kind, points, r.cfg.MaxSize), nil
		}
		r.cfg.Logger.Debug("the attributes of the update were not read", "kind", r.cfg.Kind, "error", err)
		if delay.Wait(ctx) != nil {
			return announcement{}, ctx.Err()
		}
	}
}

// decide does what is to be done about an announcement.
func (r *run) decide(ctx context.Context, a announcement) {
	withdrawn := r.inbox.read(a.identity)
	if r.job != nil && a.identity == r.job.id {
		return
	}
	r.stop(errReplaced)
	if r.failed != nil && (withdrawn || a.identity != r.failed.identity) {
		r.failed = nil
		r.discard()
	}
	switch {
	case !a.exists():
		r.discard()
		if r.state != stateIdle && r.state != stateUpdated && r.state != stateFailed {
			_ = r.report(ctx, stateIdle, "") // ctx is done
		}
	case r.runs(a.identity):
		if r.files.load().Phase != installed { // which the next start has to confirm
			r.discard()
		}
		if withdrawn || r.state != stateUpdated {
			_ = r.report(ctx, stateUpdated, "")
		}
	case r.failed != nil:
		if r.state != stateFailed {
			_ = r.report(ctx, stateFailed, r.failed.Reason)
		}
	case a.problem != nil:
		r.fail(ctx, a.identity, a.problem)
	default:
		r.start(ctx, a)
	}
}

// start begins an update.
func (r *run) start(ctx context.Context, a announcement) {
	jobCtx, cancel := context.WithCancelCause(ctx)
	j := &job{id: a.identity, cancel: cancel, done: make(chan struct{})}
	r.job = j
	go func() {
		defer close(j.done)
		r.update(ctx, jobCtx, a)
	}()
}

// stop ends the update under way, if there is one, and waits for it.
func (r *run) stop(reason error) {
	if r.job == nil {
		return
	}
	r.job.cancel(reason)
	<-r.job.done
	r.job = nil
}

// settle is how long changes are waited for that belong to the last one: the
// platform sends an announcement in several messages.
const settle = time.Second

// wait waits until the attributes are to be read. It reports false when ctx is
// done.
func (r *run) wait(ctx context.Context) bool {
	refresh := time.NewTimer(r.cfg.Refresh)
	defer refresh.Stop()
	var done chan struct{} // of the job
	if r.job != nil {
		done = r.job.done
	}
	select {
	case <-ctx.Done():
		return false
	case <-refresh.C:
		return true
	case <-done:
		r.job.cancel(nil)
		r.job = nil
		return r.wait(ctx)
	case <-r.inbox.changed:
	}
	for {
		t := time.NewTimer(settle)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-r.inbox.changed:
			t.Stop()
		case <-t.C:
			return true
		}
	}
}
