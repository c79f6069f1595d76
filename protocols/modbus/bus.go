package modbus

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// deafAfter is how long nobody on a network connection may have answered until it
// is replaced: the peer may have gone without a word.
const deafAfter = 30 * time.Second

// A bus is one medium with its devices. All but the lane belongs to the lane's
// goroutine.
type bus struct {
	name           string // its URL
	network        bool
	open           Opener
	connectTimeout time.Duration
	delay          time.Duration
	reconnect      Reconnect
	targets        []*target
	lane           *poll.Lane

	host  *session
	conn  *connection
	polls context.Context //nolint:containedctx // of polls: they end with the connection, so watching a context for each would be waste
	last  time.Time       // end of the last request
	heard time.Time       // last answer, or opening
	out   []byte          // request under construction
	down  bool            // the failure to connect was logged
	tries tries
}

// A retry says which failures of a request are worth repeating it.
type retry struct{ empty, invalid bool }

func (r retry) after(err error) bool {
	return errors.Is(err, ErrTimeout) && r.empty || errors.Is(err, ErrProtocol) && r.invalid
}

// tries counts attempts to connect in vain.
type tries struct {
	count int
	until time.Time // none before
	err   error
}

// failed counts one more attempt, of which r allows so many in a row.
func (t *tries) failed(r Reconnect, err error, now time.Time) {
	t.err = err
	if t.count++; r.Attempts > 0 && t.count >= r.Attempts {
		t.count, t.until = 0, now.Add(r.Longest)
	}
}

// A connection is a transport that is closed once.
type connection struct {
	Transport
	once sync.Once
	stop func() bool
}

func (c *connection) close() { c.once.Do(func() { _ = c.Close() }) } // nothing is lost with it

// connect opens the transport. It is the lane's Open.
func (b *bus) connect(ctx context.Context) error {
	if time.Now().Before(b.tries.until) {
		return b.tries.err
	}
	dctx, cancel := context.WithTimeout(ctx, b.connectTimeout)
	defer cancel()
	t, err := b.open(dctx, b.name)
	if err != nil {
		b.tries.failed(b.reconnect, err, time.Now())
		if !b.down && ctx.Err() == nil {
			b.down = true
			b.host.log.Warn("bus is not reachable", slog.String("bus", b.name), slog.Any("error", err))
		}
		return err
	}
	if b.down {
		b.host.log.Info("bus is reachable", slog.String("bus", b.name))
	}
	b.down, b.tries = false, tries{}
	b.conn = &connection{Transport: t}
	b.conn.stop = context.AfterFunc(ctx, b.conn.close)
	b.polls = context.WithoutCancel(ctx)
	b.heard = time.Now()
	b.host.Ready()
	b.announce(ctx)
	return nil
}

// announce tells the platform of the devices that are only written to: no reading
// will.
func (b *bus) announce(ctx context.Context) {
	for _, t := range b.targets {
		if len(t.groups) > 0 || t.online {
			continue
		}
		if err := b.host.DeviceOnline(ctx, t.device); err != nil {
			b.host.log.Warn("platform was not told of the device", slog.String("device", t.device.Name), slog.Any("error", err))
			continue
		}
		t.online = true
	}
}

// disconnect closes the transport. It is the lane's Close.
func (b *bus) disconnect() {
	b.conn.stop()
	b.conn.close()
	b.conn = nil
}

// exchange sends request to unit, up to 1+retries times, and returns the data of
// the answer, which is valid until the next call. Only the loss of the connection
// is poll.Down.
func (b *bus) exchange(ctx context.Context, t *target, request []byte, retries int) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		data, err := b.try(ctx, t, request)
		switch {
		case err == nil || isException(err):
			return data, err
		case ctx.Err() != nil:
			return nil, err
		case !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrProtocol):
			return nil, poll.Down(err)
		case b.network && time.Since(b.heard) > deafAfter:
			return nil, poll.Down(err)
		case attempt >= retries || !t.again.after(err):
			return nil, err
		}
	}
}

func (b *bus) try(ctx context.Context, t *target, request []byte) ([]byte, error) {
	if wait := b.delay - time.Since(b.last); wait > 0 && !b.last.IsZero() {
		if err := backoff.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
	response, err := b.conn.Exchange(ctx, t.unit, request, t.timeout)
	b.last = time.Now()
	if err != nil {
		return nil, err
	}
	b.heard = b.last
	return checkResponse(request, response)
}
