package tbclient

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A payload is one message of telemetry or attributes.
type payload struct {
	buf        *buffer
	attributes bool
	devices    int // in it; the same one twice if other devices are between
	points     int
}

// bounds are what one payload may hold. Zero means no bound, except of bytes.
type bounds struct {
	bytes     int
	points    int // of telemetry
	devices   int // with telemetry
	described int // devices with attributes
}

type buffer struct{ b []byte }

// A bufferPool keeps the memory of payloads that the platform has acknowledged.
type bufferPool struct {
	mu    sync.Mutex
	spare []*buffer
}

// maxSpare bounds the buffers that are kept. Each is as large as a payload.
const maxSpare = 32

func (p *bufferPool) get() *buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.spare)
	if n == 0 {
		return &buffer{}
	}
	b := p.spare[n-1]
	p.spare = p.spare[:n-1]
	b.b = b.b[:0]
	return b
}

func (p *bufferPool) put(b *buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spare) < maxSpare {
		p.spare = append(p.spare, b)
	}
}

// An encoder turns groups into payloads that are not larger than a limit. It
// merges the groups of one device and puts many devices into one payload. It
// does not allocate once it has grown to its working size. The zero encoder is
// ready to use; it is not safe for concurrent use, except for its buffers.
type encoder struct {
	skip     func(device, key string)                   // told of values that cannot be sent
	tooLarge func(device, key string, bytes, limit int) // told of values that fit no payload
	rename   func(device string) string                 // what the platform calls a device; nil: the same
	protobuf bool                                       // rather than JSON

	buffers  bufferPool
	payloads []payload

	devices []encoded      // in the order of their first group
	slots   map[string]int // device name: index in devices
	next    []int          // group: the next group of the same device, or -1

	open    payload // the payload that is being written; it has no points if none is
	bounds  bounds
	device  int            // the device that open's end belongs to
	ts      int64          // and the time of its element
	origin  origin         // and where that element comes from
	current origin         // of the group that is being written
	now     int64          // when encode was called, in Unix milliseconds; 0: not needed yet
	element int            // counts elements
	inside  map[string]int // key: the last element that it is in

	latest     []*telemetry.Point // attributes of the current device
	attributes map[string]int     // key: index in latest

	protoTelemetry  tbproto.TelemetryBuilder
	protoAttributes tbproto.AttributesBuilder
}

// An encoded device is one that groups say something about.
type encoded struct {
	name, profile string
	platform      string // what the platform calls it
	first, last   int    // of its groups
}

// An origin is where telemetry comes from.
type origin struct {
	connector string
	received  int64 // Unix milliseconds; zero: not known
}

// encode returns the payloads of groups. They and e.devices are valid until
// reset.
func (e *encoder) encode(groups []telemetry.Group, b bounds) []payload {
	e.bounds = b
	e.gather(groups)
	for i := range e.devices {
		e.encodeAttributes(i, groups)
	}
	e.finish()
	for i := range e.devices {
		for g := e.devices[i].first; g >= 0; g = e.next[g] {
			e.encodeTelemetry(i, &groups[g])
		}
	}
	e.finish()
	return e.payloads
}

func (e *encoder) encodeTelemetry(dev int, g *telemetry.Group) {
	e.current = origin{g.Connector, g.Received}
	for i := range g.Telemetry {
		p := &g.Telemetry[i]
		ts := p.TS
		if ts == 0 {
			ts = e.time()
		}
		e.telemetry(dev, ts, p)
	}
}

// time returns when encode was called.
func (e *encoder) time() int64 {
	if e.now == 0 {
		e.now = time.Now().UnixMilli()
	}
	return e.now
}

// reset forgets what was encoded, and keeps its own memory.
func (e *encoder) reset() {
	clear(e.payloads)
	clear(e.devices)
	clear(e.latest)
	clear(e.slots)
	clear(e.inside)
	clear(e.attributes)
	e.payloads, e.devices, e.next, e.latest = e.payloads[:0], e.devices[:0], e.next[:0], e.latest[:0]
	e.open, e.element, e.now = payload{}, 0, 0
	e.origin, e.current = origin{}, origin{}
}

// gather links the groups of each device that have something to send.
func (e *encoder) gather(groups []telemetry.Group) {
	if e.slots == nil {
		e.slots, e.inside, e.attributes = make(map[string]int), make(map[string]int), make(map[string]int)
	}
	e.next = slices.Grow(e.next, len(groups))
	for i := range groups {
		e.next = append(e.next, -1)
		g := &groups[i]
		if !e.sendable(g) {
			continue
		}
		slot, ok := e.slots[g.Device.Name]
		if !ok {
			slot = len(e.devices)
			e.slots[g.Device.Name] = slot
			d := encoded{name: g.Device.Name, profile: g.Device.Profile, platform: g.Device.Name, first: i, last: i}
			if e.rename != nil {
				d.platform = e.rename(d.name)
			}
			e.devices = append(e.devices, d)
			continue
		}
		d := &e.devices[slot]
		e.next[d.last], d.last = i, i
		if d.profile == "" {
			d.profile = g.Device.Profile
		}
	}
}

// sendable reports whether g has a device and a value that can be sent, and
// tells of those that cannot.
func (e *encoder) sendable(g *telemetry.Group) bool {
	ok := false
	for _, points := range [...][]telemetry.Point{g.Telemetry, g.Attributes} {
		for i := range points {
			if g.Device.Name == "" || !points[i].Value.Valid() {
				e.skip(g.Device.Name, points[i].Key)
				continue
			}
			ok = true
		}
	}
	return ok
}

// encodeAttributes writes the attributes of a device, each with its last value.
func (e *encoder) encodeAttributes(dev int, groups []telemetry.Group) {
	e.latest = e.latest[:0]
	for g := e.devices[dev].first; g >= 0; g = e.next[g] {
		for j := range groups[g].Attributes {
			p := &groups[g].Attributes[j]
			if !p.Value.Valid() {
				continue
			}
			if i, ok := e.attributes[p.Key]; ok {
				e.latest[i] = p
				continue
			}
			e.attributes[p.Key] = len(e.latest)
			e.latest = append(e.latest, p)
		}
	}
	clear(e.attributes)
	for _, p := range e.latest {
		e.put(payload{attributes: true}, dev, 0, false, p)
	}
}

// telemetry writes one reading. Readings of one time that follow each other
// share an element, unless a key repeats.
func (e *encoder) telemetry(dev int, ts int64, p *telemetry.Point) {
	if !p.Value.Valid() {
		return
	}
	element := ts != e.ts || e.inside[p.Key] == e.element || e.current != e.origin
	e.put(payload{}, dev, ts, element, p)
}

// What ends a payload that holds something.
const (
	telemetryEnd  = "}}]}"
	attributesEnd = "}}"
)

// put writes p at the end of the open payload, or of a new one if it does not
// fit, or not at all if it fits into none.
func (e *encoder) put(kind payload, dev int, ts int64, element bool, p *telemetry.Point) {
	if e.full(kind, dev) {
		e.finish()
	}
	for {
		var size int
		switch {
		case !e.protobuf:
			size = e.putJSON(kind, dev, ts, element, p)
		case p.Key == "": // cannot be sent
			e.skip(e.devices[dev].name, p.Key)
			return
		default:
			size = e.putProto(kind, dev, ts, p)
		}
		if size <= e.bounds.bytes {
			e.commit(kind, dev, ts, p.Key)
			return
		}
		if e.open.points == 0 {
			e.tooLarge(e.devices[dev].name, p.Key, size, e.bounds.bytes)
			return
		}
		e.finish()
	}
}

// putJSON writes p if that makes the open payload no larger than the bounds
// allow. It returns how large it would be.
func (e *encoder) putJSON(kind payload, dev int, ts int64, element bool, p *telemetry.Point) int {
	if e.open.points == 0 {
		e.open = payload{buf: e.buffers.get(), attributes: kind.attributes}
	}
	buf := e.open.buf
	mark := len(buf.b)
	if kind.attributes {
		buf.b = e.attributesTo(buf.b, dev)
	} else {
		buf.b = e.telemetryTo(buf.b, dev, ts, element)
	}
	buf.b = telemetry.AppendString(buf.b, p.Key)
	buf.b = append(buf.b, ':')
	buf.b = p.Value.AppendJSON(buf.b)
	size := len(buf.b) + len(telemetryEnd)
	if size <= e.bounds.bytes {
		return size
	}
	buf.b = buf.b[:mark]
	if mark == 0 {
		e.buffers.put(buf)
	}
	return size
}

// putProto is putJSON for protobuf.
func (e *encoder) putProto(kind payload, dev int, ts int64, p *telemetry.Point) int {
	name := e.devices[dev].platform
	if e.open.points == 0 {
		e.open = payload{attributes: kind.attributes}
		e.protoTelemetry.Reset()
		e.protoAttributes.Reset()
	}
	if kind.attributes {
		b := &e.protoAttributes
		b.Device(name)
		size := b.SizeWith(p.Key, p.Value)
		if size <= e.bounds.bytes {
			b.Add(p.Key, p.Value)
		}
		return size
	}
	b := &e.protoTelemetry
	b.Device(name)
	b.At(ts)
	size := b.SizeWith(p.Key, p.Value)
	if size <= e.bounds.bytes {
		b.Add(p.Key, p.Value)
	}
	return size
}

// full reports whether the open payload has as much as the bounds allow besides
// bytes.
func (e *encoder) full(kind payload, dev int) bool {
	if e.open.points == 0 {
		return false
	}
	devices := e.bounds.devices
	if kind.attributes {
		devices = e.bounds.described
	} else if e.bounds.points > 0 && e.open.points >= e.bounds.points {
		return true
	}
	return devices > 0 && e.open.devices >= devices && e.device != dev
}

// commit remembers where the open payload ends.
func (e *encoder) commit(kind payload, dev int, ts int64, key string) {
	if e.open.devices == 0 || e.device != dev {
		e.open.devices++
	}
	e.open.points++
	e.device = dev
	if kind.attributes {
		return
	}
	e.ts, e.origin = ts, e.current
	e.inside[key] = e.element
}

// finish closes the open payload, if there is one.
func (e *encoder) finish() {
	if e.open.points == 0 {
		return
	}
	switch {
	case e.protobuf && e.open.attributes:
		e.open.buf = e.buffers.get()
		e.open.buf.b = e.protoAttributes.AppendTo(e.open.buf.b)
	case e.protobuf:
		e.open.buf = e.buffers.get()
		e.open.buf.b = e.protoTelemetry.AppendTo(e.open.buf.b)
	case e.open.attributes:
		e.open.buf.b = append(e.open.buf.b, attributesEnd...)
	default:
		e.open.buf.b = append(e.open.buf.b, telemetryEnd...)
	}
	e.payloads = append(e.payloads, e.open)
	e.open = payload{}
}

func (e *encoder) attributesTo(b []byte, dev int) []byte {
	switch {
	case len(b) == 0:
		b = append(b, '{')
	case e.device == dev:
		return append(b, ',')
	default:
		b = append(b, "},"...)
	}
	b = telemetry.AppendString(b, e.devices[dev].platform)
	return append(b, ":{"...)
}

func (e *encoder) telemetryTo(b []byte, dev int, ts int64, element bool) []byte {
	switch {
	case len(b) == 0:
		b = append(b, '{')
	case e.device == dev && !element:
		return append(b, ',')
	case e.device == dev:
		b = append(b, "}},"...)
		return e.elementTo(b, ts)
	default:
		b = append(b, "}}],"...)
	}
	b = telemetry.AppendString(b, e.devices[dev].platform)
	b = append(b, ":["...)
	return e.elementTo(b, ts)
}

func (e *encoder) elementTo(b []byte, ts int64) []byte {
	e.element++
	b = append(b, `{"ts":`...)
	b = strconv.AppendInt(b, ts, 10)
	if o := e.current; o.received != 0 {
		b = telemetry.AppendString(append(b, `,"metadata":{"connector":`...), o.connector)
		b = strconv.AppendInt(append(b, `,"receivedTs":`...), o.received, 10)
		b = strconv.AppendInt(append(b, `,"publishedTs":`...), e.time(), 10)
		b = append(b, '}')
	}
	return append(b, `,"values":{`...)
}
