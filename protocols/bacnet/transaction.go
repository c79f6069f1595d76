package bacnet

import (
	"errors"
	"slices"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

const (
	// maxAnswer bounds the bytes of an answer in segments.
	maxAnswer = 1 << 20

	// windowSize is the number of segments that are received until they are
	// acknowledged.
	windowSize = 16
)

var (
	errBusy    = errors.New("bacnet: 256 requests wait for the device already")
	errTooLong = errors.New("bacnet: the answer is longer than 1 MiB")
	errService = errors.New("bacnet: the answer is that of another service")
)

// A transaction is a confirmed request that waits for its answer. Its fields but the
// channels are guarded by the endpoint's mutex while it is pending.
type transaction struct {
	key          exchange
	alternatives []wire.Address // that the answer may come from
	service      uint8

	done  chan error    // holds the outcome; buffered
	alive chan struct{} // a segment arrived; buffered

	buf       []byte // the answer's contents
	segmented bool
	next      uint8 // sequence number that is expected
	window    uint8
	unacked   uint8
	refused   bool // the current gap was reported
}

func newTransaction() *transaction {
	return &transaction{done: make(chan error, 1), alive: make(chan struct{}, 1)}
}

// begin makes t pending under an invoke identifier that is free. The identifiers
// go round, so that a late answer is not taken for that to the next request.
func (e *endpoint) begin(t *transaction, peer wire.Address) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for range 256 {
		e.nextID++
		key := exchange{peer: peer, id: e.nextID}
		if e.pending[key] == nil {
			t.key = key
			e.pending[key] = t
			t.restart()
			select {
			case <-t.done: //nolint:errcheck // the outcome of an earlier request
			default:
			}
			return nil
		}
	}
	return errBusy
}

func (t *transaction) restart() {
	t.buf, t.segmented, t.next, t.unacked, t.refused = t.buf[:0], false, 0, 0, false
}

// end makes t pending no more.
func (e *endpoint) end(t *transaction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pending, t.key)
}

// find returns the transaction that an answer is for.
func (e *endpoint) find(from wire.Address, id uint8) *transaction {
	if t := e.pending[exchange{peer: from, id: id}]; t != nil {
		return t
	}
	for _, t := range e.pending {
		if t.key.id == id && (slices.Contains(t.alternatives, from) || !t.key.peer.IP.IsValid() && t.key.peer.Station == from.Station) {
			return t
		}
	}
	return nil
}

// answer handles an answer of a device.
func (e *endpoint) answer(from wire.Address, a *wire.APDU) {
	if ack := e.accept(from, a); ack != nil {
		e.reply(from, ack)
	}
}

// accept gives an answer to its transaction, and returns what the device is to be
// told.
func (e *endpoint) accept(from wire.Address, a *wire.APDU) *wire.APDU {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.find(from, a.InvokeID)
	if t == nil {
		if a.Type == wire.ComplexACK && a.Segmented {
			return abort(a, wire.AbortInvalidState)
		}
		return nil
	}
	switch a.Type {
	case wire.ErrorPDU:
		err, parsed := wire.ParseError(a.Payload)
		if parsed != nil {
			t.finish(e, parsed)
		} else {
			t.finish(e, err)
		}
	case wire.RejectPDU:
		t.finish(e, wire.Reject(a.Reason))
	case wire.AbortPDU:
		t.finish(e, wire.Abort(a.Reason))
	case wire.SimpleACK, wire.ComplexACK:
		return t.acknowledged(e, a)
	default:
	}
	return nil
}

func abort(a *wire.APDU, reason wire.Abort) *wire.APDU {
	return &wire.APDU{Type: wire.AbortPDU, InvokeID: a.InvokeID, Reason: uint8(reason)}
}

func (t *transaction) finish(e *endpoint, outcome error) {
	delete(e.pending, t.key)
	select {
	case t.done <- outcome:
	default:
	}
}

func (t *transaction) acknowledged(e *endpoint, a *wire.APDU) *wire.APDU {
	if a.Service != t.service {
		t.finish(e, errService)
		return nil
	}
	if a.Segmented {
		return t.segment(e, a)
	}
	t.buf = append(t.buf[:0], a.Payload...)
	t.finish(e, nil)
	return nil
}

// segment takes a segment of the answer. The first is acknowledged at once, as are
// the last and each that completes a window (clause 5.4.4).
func (t *transaction) segment(e *endpoint, a *wire.APDU) *wire.APDU {
	ack := &wire.APDU{Type: wire.SegmentACK, InvokeID: a.InvokeID, Window: t.window}
	if a.Sequence != t.next || !t.segmented && a.Sequence != 0 {
		return t.outOfOrder(ack)
	}
	if len(t.buf)+len(a.Payload) > maxAnswer {
		t.finish(e, errTooLong)
		return abort(a, wire.AbortBufferOverflow)
	}
	first := !t.segmented
	if first {
		t.segmented = true
		t.window = max(1, min(a.Window, windowSize))
		ack.Window = t.window
	}
	t.buf = append(t.buf, a.Payload...)
	t.next++
	t.unacked++
	t.refused = false
	ack.Sequence = a.Sequence
	if !a.More {
		t.finish(e, nil)
		return ack
	}
	select {
	case t.alive <- struct{}{}:
	default:
	}
	if first || t.unacked >= t.window {
		t.unacked = 0
		return ack
	}
	return nil
}

// outOfOrder has the device go on behind the last segment that arrived in order. It
// is told once for each gap, as all that follows it is out of order too.
func (t *transaction) outOfOrder(ack *wire.APDU) *wire.APDU {
	if t.refused || !t.segmented {
		return nil
	}
	t.refused, t.unacked = true, 0
	ack.Negative, ack.Sequence = true, t.next-1
	return ack
}
