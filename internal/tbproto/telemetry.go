package tbproto

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Fields of GatewayTelemetryMsg, TelemetryMsg (transport.proto),
// PostTelemetryMsg and TsKvListProto (queue.proto).
const (
	gatewayTelemetry  = 1 // repeated TelemetryMsg
	telemetryDevice   = 1
	telemetryPost     = 3 // PostTelemetryMsg
	postTelemetryList = 1 // repeated TsKvListProto
	listTS            = 1
	listKV            = 2 // repeated KeyValueProto
)

// A TelemetryBuilder builds a GatewayTelemetryMsg, the telemetry of many
// devices, reading by reading below a size limit:
//
//	b.Device("Boiler 7")
//	b.At(ts)
//	if b.SizeWith(key, value) > limit {
//		out = b.AppendTo(out)
//		b.Reset()
//		b.Device("Boiler 7")
//		b.At(ts)
//	}
//	b.Add(key, value)
//
// The zero builder is ready to use. One that is reused with Reset does not
// allocate once it has grown to its working size. It is not safe for concurrent
// use.
type TelemetryBuilder struct {
	kvs      []byte          // the fields listKV of all elements
	elements []element       // in the order of their devices
	devices  []telemetryPart // in order
	closed   int             // size of the message without the last device

	device string // that the next reading belongs to
	ts     int64  // and its time
}

// An element is the readings of one device at one time.
type element struct {
	ts         int64
	start, end int // of its fields in kvs
}

// A telemetryPart is a device with its elements.
type telemetryPart struct {
	name        string
	first, last int // elements
	closed      int // size of its PostTelemetryMsg without the last element
}

func (e element) size() int {
	return sizeVarint(listTS, uint64(e.ts)) + e.end - e.start
}

// posted returns the size of the device's PostTelemetryMsg, whose last element
// has the size last.
func (d *telemetryPart) posted(last int) int { return d.closed + sizeBytes(postTelemetryList, last) }

// sizeDevice returns the size of the field of a device.
func sizeDevice(name string, posted int) int {
	return sizeBytes(gatewayTelemetry, sizeString(telemetryDevice, name)+sizeBytes(telemetryPost, posted))
}

// Reset forgets everything, the device and the time included, and keeps the
// memory.
func (b *TelemetryBuilder) Reset() {
	clear(b.devices)
	b.kvs, b.elements, b.devices, b.closed = b.kvs[:0], b.elements[:0], b.devices[:0], 0
	b.device, b.ts = "", 0
}

// Empty reports whether b holds no reading.
func (b *TelemetryBuilder) Empty() bool { return len(b.devices) == 0 }

// Device says which device the following readings are of. A device without a
// reading is not sent.
func (b *TelemetryBuilder) Device(name string) { b.device = name }

// At says what time the following readings are of, in Unix milliseconds. The
// platform puts its own time in place of zero. Readings of one device and one
// time that follow each other share an element.
func (b *TelemetryBuilder) At(ts int64) { b.ts = ts }

// sameDevice reports whether the next reading joins the last device.
func (b *TelemetryBuilder) sameDevice() bool {
	n := len(b.devices)
	return n > 0 && b.devices[n-1].name == b.device
}

// sameElement reports whether the next reading joins the last element, given
// that it joins the last device.
func (b *TelemetryBuilder) sameElement() bool { return b.elements[len(b.elements)-1].ts == b.ts }

// Size returns the size of the message. It takes the same time however large
// the message is.
func (b *TelemetryBuilder) Size() int {
	if b.Empty() {
		return 0
	}
	d := &b.devices[len(b.devices)-1]
	return b.closed + sizeDevice(d.name, d.posted(b.elements[d.last].size()))
}

// SizeWith returns the size of the message if this reading is added. One that
// Add refuses does not change it.
func (b *TelemetryBuilder) SizeWith(key string, v telemetry.Value) int {
	if !sendable(key, v) {
		return b.Size()
	}
	kv := sizeBytes(listKV, sizeKeyValue(key, v))
	alone := sizeVarint(listTS, uint64(b.ts)) + kv
	if !b.sameDevice() {
		return b.Size() + sizeDevice(b.device, sizeBytes(postTelemetryList, alone))
	}
	d := &b.devices[len(b.devices)-1]
	last := b.elements[d.last].size()
	if b.sameElement() {
		return b.closed + sizeDevice(d.name, d.posted(last+kv))
	}
	return b.closed + sizeDevice(d.name, d.posted(last)+sizeBytes(postTelemetryList, alone))
}

// Add adds a reading. It reports whether it did: a value that is not Valid and
// one without a key are left out, since the platform would refuse the message.
// It keeps the device's name, and neither the key nor the value.
func (b *TelemetryBuilder) Add(key string, v telemetry.Value) bool {
	if !sendable(key, v) {
		return false
	}
	switch {
	case !b.sameDevice():
		b.closed = b.Size()
		b.elements = append(b.elements, element{ts: b.ts, start: len(b.kvs)})
		e := len(b.elements) - 1
		b.devices = append(b.devices, telemetryPart{name: b.device, first: e, last: e})
	case !b.sameElement():
		d := &b.devices[len(b.devices)-1]
		d.closed = d.posted(b.elements[d.last].size())
		b.elements = append(b.elements, element{ts: b.ts, start: len(b.kvs)})
		d.last++
	}
	b.kvs = appendHeader(b.kvs, listKV, sizeKeyValue(key, v))
	b.kvs = appendKeyValue(b.kvs, key, v)
	b.elements[len(b.elements)-1].end = len(b.kvs)
	return true
}

// AppendTo appends the message to dst.
func (b *TelemetryBuilder) AppendTo(dst []byte) []byte {
	dst = slices.Grow(dst, b.Size())
	for i := range b.devices {
		d := &b.devices[i]
		posted := d.posted(b.elements[d.last].size())
		dst = appendHeader(dst, gatewayTelemetry, sizeString(telemetryDevice, d.name)+sizeBytes(telemetryPost, posted))
		dst = appendString(dst, telemetryDevice, d.name)
		dst = appendHeader(dst, telemetryPost, posted)
		for _, e := range b.elements[d.first : d.last+1] {
			dst = appendHeader(dst, postTelemetryList, e.size())
			dst = appendVarint(dst, listTS, uint64(e.ts))
			dst = append(dst, b.kvs[e.start:e.end]...)
		}
	}
	return dst
}

// DecodeTelemetry decodes a GatewayTelemetryMsg into one group per device of
// the message, which may name a device twice. Values that the platform does not
// know are absent.
func DecodeTelemetry(msg []byte) ([]telemetry.Group, error) {
	var groups []telemetry.Group
	err := fields(msg, func(f field) error {
		if f.num != gatewayTelemetry || f.typ != protowire.BytesType {
			return nil
		}
		groups = append(groups, telemetry.Group{})
		g := &groups[len(groups)-1]
		return f.message(func(f field) error {
			switch f.num {
			case telemetryDevice:
				return f.string(&g.Device.Name)
			case telemetryPost:
				return f.message(func(f field) error { return decodeElement(f, &g.Telemetry) })
			}
			return nil
		})
	})
	return groups, wrap("telemetry", err)
}

// decodeElement decodes the field postTelemetryList. The time may follow the
// readings that it is of.
func decodeElement(f field, points *[]telemetry.Point) error {
	if f.num != postTelemetryList {
		return nil
	}
	var ts int64
	first := len(*points)
	err := f.message(func(f field) error {
		switch f.num {
		case listTS:
			f.int64(&ts)
		case listKV:
			return decodePoint(f, points)
		}
		return nil
	})
	for i := first; i < len(*points); i++ {
		(*points)[i].TS = ts
	}
	return err
}

// decodePoint decodes a field that is a KeyValueProto.
func decodePoint(f field, points *[]telemetry.Point) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	var kv keyValue
	if err := f.message(kv.decode); err != nil {
		return err
	}
	*points = append(*points, kv.point(0))
	return nil
}
