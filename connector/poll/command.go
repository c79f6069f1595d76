package poll

import (
	"context"
	"fmt"
)

// DefaultQueue is the number of commands that may wait for a lane.
const DefaultQueue = 64

type command struct {
	ctx  context.Context //nolint:containedctx // a command carries its caller's context to the lane
	run  func(ctx context.Context) error
	done chan error
}

// Do runs f on the lane as soon as the request that is under way has ended,
// before any poll, and returns its error. Commands run in the order of the calls.
// f's context ends with ctx and with the lane.
//
// If ctx is done while f waits, f is not called. When Do returns, f is not
// running. Do returns [ErrStopped] if the lane is not running, [ErrBusy] if too
// many commands wait, and the reason if the medium is down. It must not be called
// from a poll or a command.
func (l *Lane) Do(ctx context.Context, f func(ctx context.Context) error) error {
	c := &command{ctx: ctx, run: f, done: make(chan error, 1)}
	if err := l.enqueue(c); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		if l.withdraw(c) {
			return ctx.Err()
		}
		return <-c.done
	}
}

func (l *Lane) enqueue(c *command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return ErrStopped
	}
	if len(l.queue) >= l.cfg.Queue {
		return ErrBusy
	}
	l.queue = append(l.queue, c)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes c out of the queue. It reports false if c was taken already.
func (l *Lane) withdraw(c *command) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == c {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (l *Lane) nextCommand() *command {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	c := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return c
}

// runCommands runs the commands that wait.
func (l *Lane) runCommands(ctx context.Context) {
	for c := l.nextCommand(); c != nil; c = l.nextCommand() {
		c.done <- l.runCommand(ctx, c)
	}
}

func (l *Lane) runCommand(ctx context.Context, c *command) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if !l.up {
		return fmt.Errorf("poll: not connected: %w", l.downReason())
	}
	cctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	l.commands.Add(1)
	err := c.run(cctx)
	if IsDown(err) && l.up {
		l.shut(err)
	}
	return err
}

// A Turn is a poll's turn on its lane.
type Turn struct {
	lane *Lane
}

// Yield runs the commands that wait. A poll calls it between its requests. An
// error means that the poll cannot go on: the lane ends, or the medium is down.
func (t *Turn) Yield(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.lane.runCommands(ctx)
	if !t.lane.up {
		return Down(t.lane.downReason())
	}
	return nil
}
