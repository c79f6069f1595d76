package tbproto

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Fields of GatewayAttributesMsg, AttributesMsg (transport.proto) and
// PostAttributeMsg (queue.proto), whose field 2, shared, a gateway does not use.
const (
	gatewayAttributes = 1 // repeated AttributesMsg
	attributesDevice  = 1
	attributesPost    = 2 // PostAttributeMsg
	postAttributesKV  = 1 // repeated KeyValueProto
)

// An AttributesBuilder builds a GatewayAttributesMsg, the client-side
// attributes of many devices, as a [TelemetryBuilder] builds telemetry.
//
// The zero builder is ready to use. One that is reused with Reset does not
// allocate once it has grown to its working size. It is not safe for concurrent
// use.
type AttributesBuilder struct {
	kvs     []byte // the fields postAttributesKV of all devices
	devices []attributesPart
	closed  int // size of the message without the last device

	device string // that the next attribute belongs to
}

// An attributesPart is a device with its attributes.
type attributesPart struct {
	name       string
	start, end int // of its fields in kvs
}

// sizeAttributes returns the size of the field of a device.
func sizeAttributes(name string, posted int) int {
	return sizeBytes(gatewayAttributes, sizeString(attributesDevice, name)+sizeBytes(attributesPost, posted))
}

// Reset forgets everything, the device included, and keeps the memory.
func (b *AttributesBuilder) Reset() {
	clear(b.devices)
	b.kvs, b.devices, b.closed, b.device = b.kvs[:0], b.devices[:0], 0, ""
}

// Empty reports whether b holds no attribute.
func (b *AttributesBuilder) Empty() bool { return len(b.devices) == 0 }

// Device says which device the following attributes are of. A device without
// an attribute is not sent.
func (b *AttributesBuilder) Device(name string) { b.device = name }

// Size returns the size of the message. It takes the same time however large
// the message is.
func (b *AttributesBuilder) Size() int {
	if b.Empty() {
		return 0
	}
	d := &b.devices[len(b.devices)-1]
	return b.closed + sizeAttributes(d.name, d.end-d.start)
}

func (b *AttributesBuilder) sameDevice() bool {
	n := len(b.devices)
	return n > 0 && b.devices[n-1].name == b.device
}

// SizeWith returns the size of the message if this attribute is added. One
// that Add refuses does not change it.
func (b *AttributesBuilder) SizeWith(key string, v telemetry.Value) int {
	if !sendable(key, v) {
		return b.Size()
	}
	kv := sizeBytes(postAttributesKV, sizeKeyValue(key, v))
	if !b.sameDevice() {
		return b.Size() + sizeAttributes(b.device, kv)
	}
	d := &b.devices[len(b.devices)-1]
	return b.closed + sizeAttributes(d.name, d.end-d.start+kv)
}

// Add adds an attribute. It reports whether it did: a value that is not Valid
// and one without a key are left out, since the platform would refuse the
// message. It keeps the device's name, and neither the key nor the value.
func (b *AttributesBuilder) Add(key string, v telemetry.Value) bool {
	if !sendable(key, v) {
		return false
	}
	if !b.sameDevice() {
		b.closed = b.Size()
		b.devices = append(b.devices, attributesPart{name: b.device, start: len(b.kvs)})
	}
	b.kvs = appendHeader(b.kvs, postAttributesKV, sizeKeyValue(key, v))
	b.kvs = appendKeyValue(b.kvs, key, v)
	b.devices[len(b.devices)-1].end = len(b.kvs)
	return true
}

// AppendTo appends the message to dst.
func (b *AttributesBuilder) AppendTo(dst []byte) []byte {
	dst = slices.Grow(dst, b.Size())
	for i := range b.devices {
		d := &b.devices[i]
		posted := d.end - d.start
		dst = appendHeader(dst, gatewayAttributes, sizeString(attributesDevice, d.name)+sizeBytes(attributesPost, posted))
		dst = appendString(dst, attributesDevice, d.name)
		dst = appendHeader(dst, attributesPost, posted)
		dst = append(dst, b.kvs[d.start:d.end]...)
	}
	return dst
}

// DecodeAttributes decodes a GatewayAttributesMsg into one group per device of
// the message, which may name a device twice. Values that the platform does not
// know are absent.
func DecodeAttributes(msg []byte) ([]telemetry.Group, error) {
	var groups []telemetry.Group
	err := fields(msg, func(f field) error {
		if f.num != gatewayAttributes || f.typ != protowire.BytesType {
			return nil
		}
		groups = append(groups, telemetry.Group{})
		g := &groups[len(groups)-1]
		return f.message(func(f field) error {
			switch f.num {
			case attributesDevice:
				return f.string(&g.Device.Name)
			case attributesPost:
				return f.message(func(f field) error {
					if f.num != postAttributesKV {
						return nil
					}
					return decodePoint(f, &g.Attributes)
				})
			}
			return nil
		})
	})
	return groups, wrap("attributes", err)
}

// wrap names the message that could not be decoded.
func wrap(message string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tbproto: %s: %w", message, err)
}
