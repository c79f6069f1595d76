package snmp

import (
	"encoding/json"
	"testing"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Before is before.
func Before(a, b string) bool { return before(a, b) }

// ParseOID is parseOID.
func ParseOID(s string) (string, error) { return parseOID(s) }

// Decode is decode.
func Decode(pdu gosnmp.SnmpPDU, enc Encoding) (telemetry.Value, error) { return decode(pdu, enc) }

// Encode is encode.
func Encode(oid string, typ Syntax, v telemetry.Value) (gosnmp.SnmpPDU, error) {
	return encode(oid, typ, v)
}

// ScaleBy scales v, and shows what is written to get the result back.
func ScaleBy(factor float64, v telemetry.Value) (out, back telemetry.Value, err error) {
	s, err := newScale(factor)
	if err != nil {
		return out, back, err
	}
	out = s.apply(v)
	return out, s.invert(out), nil
}

// Load is load.
func Load(doc json.RawMessage, env connector.Env) (Config, error) {
	return load(conf.NewReader(env.Logger), doc, env)
}

// A TrapDecoder decodes notifications, as the server does.
type TrapDecoder struct{ d *trapDecoder }

// NewTrapDecoder returns a decoder with an engine identifier.
func NewTrapDecoder(tb testing.TB, communities []string, users []User, engine string) TrapDecoder {
	tb.Helper()
	d, err := newTrapDecoder(communities, users, engine)
	if err != nil {
		tb.Fatal(err)
	}
	return TrapDecoder{d}
}

// Decode decodes and interprets a message, and answers it if it is an inform.
func (d TrapDecoder) Decode(msg []byte) (trap string, report []byte, err error) {
	p, report, err := d.d.decode(msg)
	if err != nil || report != nil {
		return "", report, err
	}
	n, err := parseNotification(p)
	if err != nil {
		return "", nil, err
	}
	var b telemetry.Batch
	b.Device("d", "")
	(&trapServer{}).report(&b, n, 1)
	if p.PDUType == gosnmp.InformRequest {
		_, err = d.d.answer(p)
	}
	return n.trap, nil, err
}
