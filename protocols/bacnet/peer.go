package bacnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// ErrTimeout is the error of a request that a device did not answer.
var ErrTimeout = errors.New("device timeout")

// A peer is a device that requests are sent to, one at a time.
type peer struct {
	end          *endpoint
	addr         wire.Address
	alternatives []wire.Address
	maxAPDU      int  // that the device accepts
	own          int  // that the gateway accepts
	accepts      bool // answers in segments
	timeout      time.Duration

	tx    *transaction
	timer *time.Timer
	out   []byte // datagram
	body  []byte // contents of a request
}

func newPeer(e *endpoint, cfg *Config, timeout time.Duration) *peer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	s := cfg.Local.Segmentation
	return &peer{
		end: e, maxAPDU: wire.Length(0), own: cfg.Local.MaxAPDU, timeout: timeout,
		accepts: s == wire.SegmentedBoth || s == wire.SegmentedReceive, tx: newTransaction(), timer: timer,
	}
}

// request sends a confirmed request and returns the contents of its answer, which
// are valid until the next request. The error is ErrTimeout, a *wire.Error, a
// wire.Reject or a wire.Abort if it is the device's.
func (p *peer) request(ctx context.Context, service uint8, contents []byte, retries int) ([]byte, error) {
	a := wire.APDU{
		Type: wire.ConfirmedRequest, Service: service, Payload: contents, Accepts: p.accepts,
		MaxAPDU: wire.LengthCode(p.own),
	}
	if p.accepts {
		a.MaxSegments = wire.ManySegments
	}
	const header = 4
	if len(contents)+header > p.maxAPDU {
		return nil, fmt.Errorf("request of %d bytes is longer than the %d that the device accepts", len(contents)+header, p.maxAPDU)
	}
	p.tx.service, p.tx.alternatives = service, p.alternatives
	if err := p.end.begin(p.tx, p.addr); err != nil {
		return nil, err
	}
	defer p.end.end(p.tx)
	a.InvokeID = p.tx.key.id
	for attempt := 0; ; attempt++ {
		var err error
		if p.out, err = p.end.send(p.out, p.addr, &a); err != nil {
			return nil, err
		}
		err = p.wait(ctx)
		if err == nil {
			return p.tx.buf, nil
		}
		if !errors.Is(err, ErrTimeout) || attempt >= retries {
			return nil, err
		}
		p.end.mu.Lock()
		p.tx.restart()
		p.end.mu.Unlock()
	}
}

// wait waits for the answer. A segment gives it another time-out.
func (p *peer) wait(ctx context.Context) error {
	p.timer.Reset(p.timeout)
	defer p.timer.Stop()
	for {
		select {
		case err := <-p.tx.done:
			return err
		case <-p.tx.alive:
			p.timer.Reset(p.timeout)
		case <-p.timer.C:
			return ErrTimeout
		case <-ctx.Done():
			return ctx.Err()
		case <-p.end.ctx.Done():
			return p.end.reason()
		}
	}
}

// read reads one property. The value are tagged values, valid until the next
// request.
func (p *peer) read(ctx context.Context, r wire.Reference, retries int) ([]byte, error) {
	p.body = wire.AppendReadProperty(p.body[:0], r)
	answer, err := p.request(ctx, wire.ServiceReadProperty, p.body, retries)
	if err != nil {
		return nil, err
	}
	_, value, err := wire.ParseReadPropertyACK(answer)
	return value, err
}

// readMultiple reads several properties, and calls yield for each result.
func (p *peer) readMultiple(ctx context.Context, refs []wire.Reference, retries int, yield func(wire.ReadResult) bool) error {
	p.body = wire.AppendReadMultiple(p.body[:0], refs)
	answer, err := p.request(ctx, wire.ServiceReadPropertyMultiple, p.body, retries)
	if err != nil {
		return err
	}
	return wire.EachReadResult(answer, yield)
}

// write writes one property.
func (p *peer) write(ctx context.Context, w wire.Write) error {
	p.body = w.Append(p.body[:0])
	_, err := p.request(ctx, wire.ServiceWriteProperty, p.body, 0)
	return err
}

// subscribe asks for notifications, or cancels them.
func (p *peer) subscribe(ctx context.Context, s wire.Subscription, retries int) error {
	p.body = s.Append(p.body[:0])
	_, err := p.request(ctx, wire.ServiceSubscribeCOV, p.body, retries)
	return err
}

// answered reports whether err is an answer of the device itself.
func answered(err error) bool {
	var e *wire.Error
	var r wire.Reject
	var a wire.Abort
	return errors.As(err, &e) || errors.As(err, &r) || errors.As(err, &a) || errors.Is(err, wire.ErrMalformed) ||
		errors.Is(err, errService) || errors.Is(err, errTooLong)
}
