package gateway

import (
	"context"
	"errors"
)

// change begins a change of the store or the platform, of which there is one at
// a time. The context that it returns ends also when the gateway stops; done
// ends the change.
func (g *Gateway) change(ctx context.Context) (_ context.Context, done func(), err error) {
	select {
	case g.changing <- struct{}{}:
	case <-g.stopping.Done():
		return nil, nil, ErrStopped
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	ctx, cancel := g.untilStop(ctx)
	if g.isOver() {
		cancel()
		<-g.changing
		return nil, nil, ErrStopped
	}
	return ctx, func() { cancel(); <-g.changing }, nil
}

// untilStop returns a context that ends also when the gateway stops.
func (g *Gateway) untilStop(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.stopping, func() { cancel(ErrStopped) })
	return ctx, func() { stop(); cancel(nil) }
}

func (g *Gateway) isOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.phase == over
}

// platformContext returns the context of platforms, or nil if Run was not
// called yet.
func (g *Gateway) platformContext() context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.platforms
}

var errPaused = errors.New("gateway: publishing is paused")
