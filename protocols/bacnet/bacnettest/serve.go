package bacnettest

import (
	"context"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A subscriber is who has subscribed to an object.
type subscriber struct {
	from    wire.Address
	process uint32
	object  wire.ObjectID
}

type subscription struct {
	confirmed bool
	expires   time.Time // zero: never
	send      func(a *wire.APDU)
}

// A transfer is an answer that is sent in segments.
type transfer struct {
	from wire.Address
	id   uint8
}

type segments struct {
	service  uint8
	parts    [][]byte
	next     int // the first that is not acknowledged
	attempts map[int]int
	again    int // times that the window was sent again
}

// Handle handles an APDU from an address. What the device has to say it says to send,
// now or later.
func (d *Device) Handle(from wire.Address, a *wire.APDU, send func(a *wire.APDU)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return
	}
	switch a.Type {
	case wire.UnconfirmedRequest:
		if low, high, err := wire.ParseWhoIs(a.Payload); a.Service == wire.ServiceWhoIs && err == nil && low <= d.Instance && d.Instance <= high {
			i := wire.IAm{Device: d.id(), MaxAPDU: uint32(d.MaxAPDU), Segmentation: d.Segmentation, Vendor: d.Vendor}
			send(&wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceIAm, Payload: i.Append(nil)})
		}
	case wire.ConfirmedRequest:
		d.confirmed(from, a, send)
	case wire.SegmentACK:
		d.segmentACK(transfer{from: from, id: a.InvokeID}, a, send)
	case wire.SimpleACK:
		d.confirm(a.InvokeID)
	case wire.ErrorPDU, wire.RejectPDU, wire.AbortPDU:
		delete(d.pending, a.InvokeID)
		delete(d.answers, transfer{from: from, id: a.InvokeID})
	default:
	}
}

func (d *Device) confirmed(from wire.Address, a *wire.APDU, send func(a *wire.APDU)) {
	reject := func(r wire.Reject) {
		send(&wire.APDU{Type: wire.RejectPDU, InvokeID: a.InvokeID, Reason: uint8(r)})
	}
	fail := func(e *wire.Error) {
		send(&wire.APDU{Type: wire.ErrorPDU, InvokeID: a.InvokeID, Service: a.Service, Payload: e.Append(nil)})
	}
	done := func(e *wire.Error) {
		if e != nil {
			fail(e)
			return
		}
		send(&wire.APDU{Type: wire.SimpleACK, InvokeID: a.InvokeID, Service: a.Service})
	}
	switch {
	case a.Service == wire.ServiceReadProperty:
		r, err := wire.ParseReadProperty(a.Payload)
		if err != nil {
			reject(wire.RejectMissingParameter)
			return
		}
		d.requests = append(d.requests, Request{Service: a.Service, References: []wire.Reference{r}})
		value, failed := d.read(r)
		if failed != nil {
			fail(failed)
			return
		}
		if r.Object == wire.NewObjectID(wire.DeviceObject, wire.AnyInstance) {
			r.Object = d.id()
		}
		d.answer(from, a, wire.AppendReadPropertyACK(nil, r, value), send)
	case a.Service == wire.ServiceReadPropertyMultiple && !d.NoMultiple:
		d.readMultiple(from, a, send, fail)
	case a.Service == wire.ServiceWriteProperty:
		w, err := wire.ParseWrite(a.Payload)
		if err != nil {
			reject(wire.RejectMissingParameter)
			return
		}
		d.requests = append(d.requests, Request{Service: a.Service})
		done(d.write(w))
	case a.Service == wire.ServiceSubscribeCOV && !d.NoCOV:
		s, err := wire.ParseSubscription(a.Payload)
		if err != nil {
			reject(wire.RejectMissingParameter)
			return
		}
		d.requests = append(d.requests, Request{Service: a.Service})
		failed := d.subscribe(from, s, send)
		done(failed)
		if failed == nil {
			d.notify(subscriber{from: from, process: s.Process, object: s.Object})
		}
	default:
		d.requests = append(d.requests, Request{Service: a.Service})
		reject(wire.RejectUnrecognizedService)
	}
}

func (d *Device) readMultiple(from wire.Address, a *wire.APDU, send func(a *wire.APDU), fail func(e *wire.Error)) {
	var results []wire.ReadResult
	request := Request{Service: a.Service}
	err := wire.EachReadMultiple(a.Payload, func(r wire.Reference) bool {
		request.References = append(request.References, r)
		if r.Property == wire.AllProperties {
			for p := range d.objects[r.Object] {
				value, failed := d.read(wire.Reference{Object: r.Object, Property: p, Index: wire.WholeArray})
				results = append(results, wire.ReadResult{Reference: wire.Reference{Object: r.Object, Property: p, Index: wire.WholeArray}, Value: value, Err: failed})
			}
			return true
		}
		value, failed := d.read(r)
		results = append(results, wire.ReadResult{Reference: r, Value: value, Err: failed})
		return true
	})
	d.requests = append(d.requests, request)
	if err != nil {
		send(&wire.APDU{Type: wire.RejectPDU, InvokeID: a.InvokeID, Reason: uint8(wire.RejectMissingParameter)})
		return
	}
	if d.MostResults > 0 && len(results) > d.MostResults {
		d.aborted++
		send(&wire.APDU{Type: wire.AbortPDU, Server: true, InvokeID: a.InvokeID, Reason: uint8(wire.AbortBufferOverflow)})
		return
	}
	if i := slices.IndexFunc(results, func(r wire.ReadResult) bool { return r.Err != nil }); d.NoPartial && i >= 0 {
		fail(results[i].Err)
		return
	}
	d.answer(from, a, wire.AppendReadMultipleACK(nil, results), send)
}

// answer sends a ComplexACK, in segments if it is too long.
func (d *Device) answer(from wire.Address, a *wire.APDU, contents []byte, send func(a *wire.APDU)) {
	const header, segmentHeader = 3, 5
	most := min(wire.Length(a.MaxAPDU), d.MaxAPDU)
	if len(contents)+header <= most {
		send(&wire.APDU{Type: wire.ComplexACK, InvokeID: a.InvokeID, Service: a.Service, Payload: contents})
		return
	}
	if !a.Accepts || !d.Segmentation.Transmits() {
		d.aborted++
		send(&wire.APDU{Type: wire.AbortPDU, Server: true, InvokeID: a.InvokeID, Reason: uint8(wire.AbortSegmentationNotSupported)})
		return
	}
	s := &segments{service: a.Service, parts: slices.Collect(slices.Chunk(contents, most-segmentHeader)), attempts: make(map[int]int)}
	d.answers[transfer{from: from, id: a.InvokeID}] = s
	d.sendSegment(a.InvokeID, s, 0, send)
	d.watch(transfer{from: from, id: a.InvokeID}, s, 1, send)
}

// watch sends a window again that is not acknowledged in time.
func (d *Device) watch(t transfer, s *segments, window int, send func(a *wire.APDU)) {
	const segmentTimeout, attempts = 30 * time.Millisecond, 5
	next := s.next
	time.AfterFunc(segmentTimeout, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.answers[t] != s || s.next != next || s.again >= attempts {
			return
		}
		s.again++
		for i := next; i < min(next+window, len(s.parts)); i++ {
			d.sendSegment(t.id, s, i, send)
		}
		d.watch(t, s, window, send)
	})
}

func (d *Device) sendSegment(id uint8, s *segments, i int, send func(a *wire.APDU)) {
	s.attempts[i]++
	if d.Drop != nil && d.Drop(uint8(i), s.attempts[i]) {
		return
	}
	send(&wire.APDU{
		Type: wire.ComplexACK, Segmented: true, More: i < len(s.parts)-1, InvokeID: id, Service: s.service,
		Sequence: uint8(i), Window: d.Window, Payload: s.parts[i],
	})
}

// segmentACK goes on behind the segment that was acknowledged.
func (d *Device) segmentACK(t transfer, a *wire.APDU, send func(a *wire.APDU)) {
	s := d.answers[t]
	if s == nil {
		return
	}
	s.next += int(uint8(int(a.Sequence) - s.next + 1)) // sequence numbers have 8 bits
	if s.next >= len(s.parts) {
		delete(d.answers, t)
		return
	}
	for i := s.next; i < min(s.next+int(a.Window), len(s.parts)); i++ {
		d.sendSegment(a.InvokeID, s, i, send)
	}
	d.watch(t, s, int(a.Window), send)
}

func (d *Device) subscribe(from wire.Address, s wire.Subscription, send func(a *wire.APDU)) *wire.Error {
	key := subscriber{from: from, process: s.Process, object: s.Object}
	if s.Cancel {
		delete(d.subs, key)
		return nil
	}
	if d.objects[s.Object] == nil {
		return &wire.Error{Class: wire.ClassObject, Code: wire.CodeUnknownObject}
	}
	if e, ok := d.failures[wire.Reference{Object: s.Object, Property: wire.CovIncrement, Index: wire.WholeArray}]; ok {
		return &e
	}
	sub := &subscription{confirmed: s.Confirmed, send: send}
	if s.Lifetime > 0 {
		sub.expires = time.Now().Add(s.Lifetime)
	}
	d.subs[key] = sub
	return nil
}

func (d *Device) notifyAll(o wire.ObjectID) {
	for key := range d.subs {
		if key.object == o {
			d.notify(key)
		}
	}
}

// first returns the present value of an object.
func (d *Device) first(o wire.ObjectID) wire.Value {
	if values := d.objects[o][wire.PresentValue]; len(values) > 0 {
		return values[0]
	}
	return wire.Value{}
}

// notify sends the values of an object to a subscriber. The mutex is held.
func (d *Device) notify(key subscriber) {
	s := d.subs[key]
	if s == nil || d.silent {
		return
	}
	remaining := time.Duration(0)
	if !s.expires.IsZero() {
		if remaining = time.Until(s.expires); remaining <= 0 {
			delete(d.subs, key)
			return
		}
	}
	var values []byte
	for _, p := range []wire.Property{wire.PresentValue, wire.StatusFlags} {
		if value, failed := d.read(wire.Reference{Object: key.object, Property: p, Index: wire.WholeArray}); failed == nil {
			values = wire.AppendPropertyValue(values, p, value)
		}
	}
	n := wire.Notification{Process: key.process, Device: d.id(), Object: key.object, Remaining: remaining}
	a := &wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceUnconfirmedCOVNotification, Payload: n.Append(nil, values)}
	if s.confirmed {
		d.nextID++
		a.Type, a.Service, a.InvokeID = wire.ConfirmedRequest, wire.ServiceConfirmedCOVNotification, d.nextID
		a.MaxAPDU = wire.LengthCode(d.MaxAPDU)
		d.pending[d.nextID] = &pending{subscriber: key, apdu: a, value: d.first(key.object)}
	}
	s.send(a)
}

// A pending notification waits to be confirmed.
type pending struct {
	subscriber subscriber
	apdu       *wire.APDU
	value      wire.Value
	queued     bool
}

// Queue notifies the subscribers of a value of an object until they have confirmed
// it, one value after the other. The present value is what was queued last. Repeat
// has to run.
func (d *Device) Queue(o wire.ObjectID, v wire.Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, queued{object: o, value: v})
}

// Acknowledged returns the queued values of an object that were confirmed.
func (d *Device) Acknowledged(o wire.ObjectID) (list []wire.Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.acked {
		if q.object == o {
			list = append(list, q.value)
		}
	}
	return list
}

// A queued value waits until a subscriber has confirmed it.
type queued struct {
	object wire.ObjectID
	value  wire.Value
}

// Repeat repeats the notifications that were not confirmed, and sends queued values,
// every so often until stop is called.
func (d *Device) Repeat(every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				d.repeat()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (d *Device) repeat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, p := range d.pending {
		if s := d.subs[p.subscriber]; s != nil {
			s.send(p.apdu)
		} else {
			delete(d.pending, id)
		}
	}
	for _, q := range d.queue {
		if d.objects[q.object] == nil {
			continue
		}
		for key := range d.subs {
			if key.object == q.object {
				d.objects[q.object][wire.PresentValue] = []wire.Value{q.value}
				d.notify(key)
				d.pending[d.nextID].queued = true
			}
		}
	}
}

// confirm notes that a notification was confirmed.
func (d *Device) confirm(id uint8) {
	p := d.pending[id]
	delete(d.pending, id)
	if p == nil || !p.queued {
		return
	}
	q := queued{object: p.subscriber.object, value: p.value}
	if i := slices.IndexFunc(d.queue, func(x queued) bool { return x.object == q.object && x.value.Bits == q.value.Bits }); i >= 0 {
		d.queue = slices.Delete(d.queue, i, i+1)
		d.acked = append(d.acked, q)
	}
}
