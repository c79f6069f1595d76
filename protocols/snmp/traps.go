package snmp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// DefaultTrapAddress is where notifications are received if Traps names nothing.
const DefaultTrapAddress = ":162"

// DefaultTrapKey is the key of notifications that no mapping names.
const DefaultTrapKey = "trap"

// Traps receives notifications: traps of V1, V2c and V3, and informs, which are
// answered when what they say is durable.
//
// A notification belongs to the device whose address it comes from. Of several with
// one address it is the one with the notification's community or user. A forwarded
// one names the address that it comes from (agent-addr, snmpTrapAddress).
type Traps struct {
	// Address is the UDP address to listen on. Empty: DefaultTrapAddress.
	Address string

	// Communities are those that V1 and V2c notifications are accepted with.
	// Empty: those of the devices of these versions.
	Communities []string

	// Users are those that V3 notifications are accepted from, beside those of the
	// devices. A message of a lower security level than its user's is refused.
	Users []User

	// EngineID identifies the gateway to senders of V3 informs, in hexadecimal.
	// Empty: one that is made for each Run; senders find it out.
	EngineID string

	// Mappings say what is reported. All that name a notification apply.
	Mappings []TrapMapping

	// DropUnmapped drops a notification that no mapping names. Otherwise it is
	// reported as {"trap": oid, "objects": {oid: value, ...}} under
	// DefaultTrapKey.
	DropUnmapped bool

	// Unknown names the device that notifications of unknown senders are reported
	// for, with ${address} for the sender's. Empty: they are dropped, with one
	// warning for each sender.
	Unknown        string
	UnknownProfile string
}

// A TrapMapping says what is reported of some notifications.
type TrapMapping struct {
	// Trap is the notification's object identifier, or its name; with ".*" behind
	// it all below. Traps of V1 have the ones that RFC 3584, section 3.1, gives
	// them: linkDown is 1.3.6.1.6.3.1.1.5.3, the specific trap 7 of an enterprise
	// is enterprise.0.7.
	Trap string

	// Key, if not empty, is the key of a text or number that tells of the
	// notification itself: Value, or if that is empty, its object identifier.
	Key   string
	Value string

	// Objects are what the notification carries.
	Objects []TrapObject

	Report *telemetry.ReportPolicy
}

// A TrapObject is an object that a notification carries.
type TrapObject struct {
	Key       string
	OID       string // of the object, with or without its index
	Attribute bool
	Encoding  Encoding
	Scale     float64
	Report    *telemetry.ReportPolicy
}

// A trapMap is a compiled TrapMapping.
type trapMap struct {
	oid     string
	tree    bool // all below oid
	key     string
	value   telemetry.Value
	objects []trapObject
	report  *telemetry.ReportPolicy
}

type trapObject struct {
	key       string
	oid       string
	attribute bool
	op        op // its encoding and scale
	report    *telemetry.ReportPolicy
}

func newTrapMap(m TrapMapping, names Names) (trapMap, error) {
	root, tree := strings.CutSuffix(m.Trap, ".*")
	out := trapMap{tree: tree, key: m.Key, report: m.Report}
	var errs []error
	var err error
	if out.oid, err = names.resolve(root); err != nil {
		errs = append(errs, fmt.Errorf("trap: %w", err))
	}
	out.value = telemetry.String(m.Value)
	if m.Key == "" && len(m.Objects) == 0 {
		errs = append(errs, errors.New("neither a key nor objects"))
	}
	for _, o := range m.Objects {
		compiled := trapObject{key: o.Key, attribute: o.Attribute, report: o.Report}
		if compiled.report == nil {
			compiled.report = m.Report
		}
		if o.Key == "" {
			errs = append(errs, errors.New("key: missing"))
		}
		if compiled.oid, err = names.resolve(o.OID); err != nil {
			errs = append(errs, fmt.Errorf("key %q: oid: %w", o.Key, err))
		}
		if o.Encoding > Hex {
			errs = append(errs, fmt.Errorf("key %q: encoding: %d is not known", o.Key, o.Encoding))
		}
		compiled.op.encoding = o.Encoding
		if compiled.op.scale, err = newScale(o.Scale); err != nil {
			errs = append(errs, fmt.Errorf("key %q: scale: %w", o.Key, err))
		}
		out.objects = append(out.objects, compiled)
	}
	return out, errors.Join(errs...)
}

func (m *trapMap) names(trap string) bool {
	if m.tree {
		_, ok := below(m.oid, trap)
		return ok
	}
	return m.oid == trap
}

// report adds what n says to b, whose device is set.
func (s *trapServer) report(b *telemetry.Batch, n notification, ts int64) {
	mapped := false
	for i := range s.mappings {
		m := &s.mappings[i]
		if !m.names(n.trap) {
			continue
		}
		mapped = true
		if m.key != "" {
			v := m.value
			if v.String() == "" {
				v = telemetry.String(n.trap)
			}
			b.AddTelemetry(telemetry.Point{Key: m.key, Value: v, TS: ts, Report: m.report})
		}
		m.add(b, n, ts)
	}
	if mapped || s.cfg.DropUnmapped {
		return
	}
	all := op{scale: scale{1, 1}}
	var readings []reading
	for _, pdu := range n.variables {
		readings = all.add(readings, plain(pdu.Name), pdu)
	}
	doc := telemetry.AppendString([]byte(`{"trap":`), n.trap)
	doc = appendObject(append(doc, `,"objects":`...), readings, appendNative)
	b.AddTelemetry(telemetry.Point{Key: DefaultTrapKey, Value: document(append(doc, '}')), TS: ts})
}

func (m *trapMap) add(b *telemetry.Batch, n notification, ts int64) {
	for _, o := range m.objects {
		for _, pdu := range n.variables {
			name := plain(pdu.Name)
			if _, indexed := below(o.oid, name); !indexed && name != o.oid {
				continue
			}
			r, err := o.op.reading(name, pdu)
			if err != nil || !r.value.Valid() {
				continue
			}
			p := telemetry.Point{Key: o.key, Value: r.value, TS: ts, Report: o.report}
			if o.attribute {
				b.AddAttribute(p)
			} else {
				b.AddTelemetry(p)
			}
			break
		}
	}
}
