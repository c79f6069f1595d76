package opcua

import (
	"crypto/rsa"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// ConfigOf returns the configuration of a connector.
func ConfigOf(c connector.Connector) Config { return c.(*Connector).plan.cfg }

// Convert converts one value for each item of the connector's first mapping.
func Convert(c connector.Connector, values []*ua.DataValue, now int64) *telemetry.Batch {
	conn := c.(*Connector)
	m := conn.plan.mappings[0]
	d := &device{mapping: m, Device: telemetry.Device{Name: m.name.fill(nil), Profile: m.profile.fill(nil)}}
	u := &uplink{compatible: conn.plan.cfg.Compatible, count: &conn.count}
	for i, p := range m.items {
		u.add(newItem(d, p, p.node.id), values[i], now)
	}
	return &u.batch
}

// A Converter converts values again and again.
type Converter struct {
	u     uplink
	items []*item
}

// NewConverter returns a converter for n items of a device.
func NewConverter(n int) *Converter {
	c := &Converter{u: uplink{count: new(counters)}}
	d := &device{Device: telemetry.Device{Name: "d", Profile: "default"}}
	for range n {
		c.items = append(c.items, newItem(d, &itemPlan{Item: Item{Key: "k"}}, ua.NewNumericNodeID(1, 1)))
	}
	return c
}

// Convert converts a value of each item, and forgets them.
func (c *Converter) Convert(v *ua.DataValue) int {
	for _, it := range c.items {
		c.u.add(it, v, 1)
	}
	n := c.u.points
	c.u.batch.Reset()
	c.u.device, c.u.points = nil, 0
	return n
}

// Coerce makes v a value of a built-in type, or a list of it.
func Coerce(v telemetry.Value, kind ua.TypeID, array bool) (*ua.Variant, error) {
	return coerce(v, shape{kind: kind, array: array})
}

// ParseAddress reports whether the text of an address can be read.
func ParseAddress(s string) error { _, err := parsePattern(s); return err }

// ParseTemplate reports whether the text of a name can be read.
func ParseTemplate(s string) error { _, err := parseTemplate(s); return err }

// ParseReserved reads the parameters of get and set.
func ParseReserved(method, params string) (string, telemetry.Value, error) {
	return parseReserved(method, []byte(params))
}

// ValueOf returns the value of a variant.
func ValueOf(v *ua.Variant, compatible bool) (telemetry.Value, bool) {
	return valueOf(v, nil, compatible)
}

// DecodeStructure decodes the body of a structure with a field of each kind.
func DecodeStructure(body []byte, kind ua.StructureType) ([]byte, bool) {
	s := &structType{kind: kind}
	for id := ua.TypeIDBoolean; id <= ua.TypeIDVariant; id++ {
		if id == ua.TypeIDVariant || id == ua.TypeIDDataValue || id == ua.TypeIDExtensionObject {
			continue // the library's decoders
		}
		s.fields = append(s.fields, structField{name: id.String(), builtin: id, array: id%3 == 0, optional: id%2 == 0})
	}
	inner := &structType{fields: []structField{{name: "x", builtin: ua.TypeIDByte}}}
	s.fields = append(s.fields, structField{name: "inner", inner: inner, array: true})
	t := &typeTable{known: map[string]*structType{"i=1": s}}
	return t.append(nil, "i=1", body, &jsonWriter{types: t})
}

// NewCertificate makes a certificate.
func NewCertificate(uri string) ([]byte, *rsa.PrivateKey, error) { return newCertificate(uri) }
