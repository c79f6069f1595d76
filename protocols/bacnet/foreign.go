package bacnet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

const (
	registrationTimeout = 3 * time.Second
	registrationLongest = 30 * time.Second // between attempts
)

// A registration makes an endpoint a foreign device of a BBMD's network.
type registration struct {
	addr    netip.AddrPort
	results chan uint16
}

// bbmd returns the address of the BBMD, which is not valid if there is none. The
// example files have 0.0.0.0, which stands for none.
func (f Foreign) bbmd() (netip.AddrPort, error) {
	if f.Address == "" || strings.HasPrefix(f.Address, "0.0.0.0") {
		return netip.AddrPort{}, nil
	}
	a, err := wire.ParseAddress(f.Address)
	if err != nil || a.Station.Net != 0 {
		return netip.AddrPort{}, fmt.Errorf("foreign: address: %q is not an IPv4 address", f.Address)
	}
	return a.IP, nil
}

// join registers the endpoint with the BBMD, if there is one to register with, and
// renews that until the endpoint is stopped.
func (e *endpoint) join(f Foreign, log *slog.Logger) error {
	addr, err := f.bbmd()
	if err != nil || !addr.IsValid() {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.bbmd == nil:
		e.bbmd = &registration{addr: addr, results: make(chan uint16, 1)}
		e.wg.Go(func() { e.register(e.ctx, e.bbmd, f.TTL, log) })
	case e.bbmd.addr != addr:
		return fmt.Errorf("bacnet: the port is a foreign device of %s already, and cannot be one of %s", e.bbmd.addr, addr)
	}
	return nil
}

// result handles what a BBMD answers.
func (e *endpoint) result(from netip.AddrPort, code uint16) {
	e.mu.Lock()
	r := e.bbmd
	e.mu.Unlock()
	if r == nil || from != r.addr {
		return
	}
	select {
	case r.results <- code:
	default:
	}
}

func (e *endpoint) register(ctx context.Context, r *registration, ttl time.Duration, log *slog.Logger) {
	log = log.With(slog.String("bbmd", r.addr.String()))
	retry := backoff.Backoff{Longest: registrationLongest}
	registered, reported := false, false
	for ctx.Err() == nil {
		err := e.registerOnce(ctx, r, ttl)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if !registered {
				log.Info("registered as a foreign device", slog.Duration("ttl", ttl))
			}
			registered, reported = true, false
			retry.Reset()
			r.rest(ctx, renewal(ttl))
			continue
		}
		if !reported {
			log.Warn("not registered as a foreign device", slog.Any("error", err))
		}
		registered, reported = false, true
		_ = retry.Wait(ctx)
	}
}

// rest waits for d, or until the BBMD refuses to distribute a broadcast: then it does
// not know the registration any more.
func (r *registration) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case code := <-r.results:
			if code != 0 {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// renewal returns when a registration is renewed: in time for a second attempt.
func renewal(ttl time.Duration) time.Duration { return max(ttl/2, time.Second/2) }

func (e *endpoint) registerOnce(ctx context.Context, r *registration, ttl time.Duration) error {
	select {
	case <-r.results: // a late one
	default:
	}
	if err := e.transmit(wire.AppendRegistration(nil, ttl), r.addr); err != nil {
		return err
	}
	timer := time.NewTimer(registrationTimeout)
	defer timer.Stop()
	select {
	case code := <-r.results:
		if code != 0 {
			return wire.ResultCode(code)
		}
		return nil
	case <-timer.C:
		return ErrTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}
