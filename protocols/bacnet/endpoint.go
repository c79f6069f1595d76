package bacnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// errEnded is what requests return whose endpoint cannot receive any more.
var errEnded = errors.New("bacnet: the socket is closed")

// A listener gets what arrives at an endpoint that is no answer. Its methods are
// called by the goroutine that receives, and must not block.
type listener interface {
	// device returns what the gateway says of itself.
	device() *identity

	// iAm is told of a device.
	iAm(from wire.Address, i wire.IAm)

	// notified is told of a change of value. It reports whether it takes care of
	// it, and then acknowledges it if it is to be confirmed.
	notified(from wire.Address, n *notice) bool
}

// An endpoint is a socket and the transactions that go over it.
type endpoint struct {
	link Link
	refs int // owned by Sockets

	ctx    context.Context //nolint:containedctx // ends with the endpoint
	cancel context.CancelFunc
	wg     sync.WaitGroup

	sent, received, malformed atomic.Int64 // datagrams

	mu        sync.Mutex
	err       error // why it has ended
	pending   map[exchange]*transaction
	nextID    uint8
	listeners []listener
	bbmd      *registration

	out []byte // of answers; belongs to the goroutine that receives
}

// An exchange identifies a transaction.
type exchange struct {
	peer wire.Address
	id   uint8
}

func newEndpoint(l Link) *endpoint {
	ctx, cancel := context.WithCancel(context.Background())
	return &endpoint{link: l, ctx: ctx, cancel: cancel, pending: make(map[exchange]*transaction)}
}

func (e *endpoint) start() {
	e.wg.Go(func() {
		err := e.link.Serve(e.receive)
		if err == nil {
			err = errEnded
		}
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
		e.cancel()
	})
}

func (e *endpoint) stop() {
	e.cancel()
	_ = e.link.Close()
	e.wg.Wait()
}

func (e *endpoint) ended() bool { return e.ctx.Err() != nil }

// reason returns why the endpoint has ended.
func (e *endpoint) reason() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		return errEnded
	}
	return e.err
}

func (e *endpoint) add(l listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners = append(slices.Clone(e.listeners), l)
}

func (e *endpoint) remove(l listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners = slices.DeleteFunc(slices.Clone(e.listeners), func(x listener) bool { return x == l })
}

func (e *endpoint) audience() []listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners
}

// send sends an APDU to a device, in a frame that is built in buf.
func (e *endpoint) send(buf []byte, to wire.Address, a *wire.APDU) ([]byte, error) {
	if !to.IP.IsValid() {
		return e.broadcast(buf, to.Station, a)
	}
	n := wire.NPDU{Destination: to.Station, Reply: a.Type == wire.ConfirmedRequest}
	buf = a.Append(n.Append(wire.Begin(buf[:0], wire.OriginalUnicast)))
	return buf, e.transmit(wire.Finish(buf), to.IP)
}

// broadcast sends an APDU to all stations of the local network, or to a station, all
// stations or all networks behind its routers.
func (e *endpoint) broadcast(buf []byte, to wire.Station, a *wire.APDU) ([]byte, error) {
	n := wire.NPDU{Destination: to, Reply: a.Type == wire.ConfirmedRequest}
	function, ip := wire.OriginalBroadcast, e.link.Broadcast()
	e.mu.Lock()
	if e.bbmd != nil {
		function, ip = wire.DistributeBroadcast, e.bbmd.addr
	}
	e.mu.Unlock()
	buf = a.Append(n.Append(wire.Begin(buf[:0], function)))
	return buf, e.transmit(wire.Finish(buf), ip)
}

func (e *endpoint) transmit(b []byte, to netip.AddrPort) error {
	e.sent.Add(1)
	if err := e.link.Send(b, to); err != nil {
		return fmt.Errorf("bacnet: send to %s: %w", to, err)
	}
	return nil
}

// receive handles a datagram. What is not understood is counted.
func (e *endpoint) receive(b []byte, from netip.AddrPort) {
	if e.link.Own(from) {
		return
	}
	e.received.Add(1)
	f, err := wire.ParseFrame(b)
	if err != nil {
		e.malformed.Add(1)
		return
	}
	if f.Function == wire.Result {
		e.result(from, f.Code)
		return
	}
	if f.NPDU == nil {
		return
	}
	if f.Function == wire.ForwardedNPDU {
		from = f.Origin
	}
	n, err := wire.ParseNPDU(f.NPDU)
	if err != nil {
		e.malformed.Add(1)
		return
	}
	if n.Message || n.Destination.Net != 0 && n.Destination.Net != wire.AllNetworks {
		return // for routers, and for others
	}
	a, err := wire.ParseAPDU(n.Payload)
	if err != nil {
		e.malformed.Add(1)
		return
	}
	e.dispatch(wire.Address{IP: from, Station: n.Source}, &a)
}

func (e *endpoint) dispatch(from wire.Address, a *wire.APDU) {
	switch a.Type {
	case wire.UnconfirmedRequest:
		e.unconfirmed(from, a)
	case wire.ConfirmedRequest:
		e.confirmed(from, a)
	case wire.SegmentACK: // requests are never segmented
	default:
		e.answer(from, a)
	}
}

func (e *endpoint) unconfirmed(from wire.Address, a *wire.APDU) {
	switch a.Service {
	case wire.ServiceWhoIs:
		low, high, err := wire.ParseWhoIs(a.Payload)
		if err != nil {
			e.malformed.Add(1)
			return
		}
		for _, l := range e.audience() {
			if id := l.device(); id.iAm.Device.Instance() >= low && id.iAm.Device.Instance() <= high {
				e.reply(from, &wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceIAm, Payload: id.iAm.Append(nil)})
			}
		}
	case wire.ServiceIAm:
		i, err := wire.ParseIAm(a.Payload)
		if err != nil {
			e.malformed.Add(1)
			return
		}
		for _, l := range e.audience() {
			l.iAm(from, i)
		}
	case wire.ServiceUnconfirmedCOVNotification:
		e.notification(from, a)
	}
}

func (e *endpoint) confirmed(from wire.Address, a *wire.APDU) {
	switch {
	case a.Segmented:
		e.reply(from, &wire.APDU{Type: wire.AbortPDU, Server: true, InvokeID: a.InvokeID, Reason: uint8(wire.AbortSegmentationNotSupported)})
	case a.Service == wire.ServiceConfirmedCOVNotification:
		e.notification(from, a)
	case a.Service == wire.ServiceReadProperty, a.Service == wire.ServiceReadPropertyMultiple:
		e.readSelf(from, a)
	default:
		e.reply(from, &wire.APDU{Type: wire.RejectPDU, InvokeID: a.InvokeID, Reason: uint8(wire.RejectUnrecognizedService)})
	}
}

// A notice is a notification as it arrived. It refers to the datagram's memory.
type notice struct {
	wire.Notification
	contents  []byte
	confirmed bool
	id        uint8
}

func (e *endpoint) notification(from wire.Address, a *wire.APDU) {
	n, err := wire.ParseNotification(a.Payload)
	if err != nil {
		e.malformed.Add(1)
		if a.Type == wire.ConfirmedRequest {
			e.reply(from, &wire.APDU{Type: wire.RejectPDU, InvokeID: a.InvokeID, Reason: uint8(wire.RejectMissingParameter)})
		}
		return
	}
	note := notice{Notification: n, contents: a.Payload, confirmed: a.Type == wire.ConfirmedRequest, id: a.InvokeID}
	taken := false
	for _, l := range e.audience() {
		if l.device().iAm.Device.Instance() == n.Process && l.notified(from, &note) {
			taken = true
		}
	}
	if !taken && note.confirmed {
		unknown := wire.Error{Class: wire.ClassServices, Code: wire.CodeUnknownSubscription}
		e.reply(from, &wire.APDU{Type: wire.ErrorPDU, InvokeID: a.InvokeID, Service: a.Service, Payload: unknown.Append(nil)})
	}
}

// reply sends an APDU that nobody waits for. It is for the goroutine that receives.
func (e *endpoint) reply(to wire.Address, a *wire.APDU) {
	e.out, _ = e.send(e.out, to, a) // what is lost is asked for again
}
