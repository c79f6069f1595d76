package snmp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Syntax is the type that a value is written with.
type Syntax uint8

// The types, with the names that configuration files use, in any case and with or
// without hyphens.
const (
	// Current ("current", or nothing) is the type of the object's current value,
	// which is read first. If it has none, whole numbers and booleans are Integer
	// and texts OctetString.
	Current Syntax = iota

	Integer          // "integer": -2147483648 to 2147483647; true is 1 and false 2, as in TruthValue
	Unsigned         // "unsigned", "gauge32": 0 to 4294967295
	Counter32        // "counter32"
	Counter64        // "counter64"
	TimeTicks        // "timeticks": seconds, as they are read
	OctetString      // "octetString", "string": text in UTF-8
	HexString        // "hexString", "hex": octets in hexadecimal, with or without colons
	ObjectIdentifier // "objectIdentifier", "oid"
	IPAddress        // "ipAddress": an IPv4 address
)

func parseType(s string) (Syntax, error) {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s)) {
	case "", "current", "auto":
		return Current, nil
	case "integer", "integer32", "int":
		return Integer, nil
	case "unsigned", "unsigned32", "gauge", "gauge32", "uint":
		return Unsigned, nil
	case "counter", "counter32":
		return Counter32, nil
	case "counter64":
		return Counter64, nil
	case "timeticks":
		return TimeTicks, nil
	case "octetstring", "string":
		return OctetString, nil
	case "hexstring", "hex":
		return HexString, nil
	case "objectidentifier", "oid":
		return ObjectIdentifier, nil
	case "ipaddress":
		return IPAddress, nil
	default:
		return 0, fmt.Errorf("%q is not one of integer, unsigned, counter32, counter64, timeticks, octetString, hexString, objectIdentifier, ipAddress", s)
	}
}

// typeOf returns the type to write an object with that has the value pdu.
func typeOf(pdu gosnmp.SnmpPDU) (Syntax, bool) {
	switch pdu.Type {
	case gosnmp.Integer:
		return Integer, true
	case gosnmp.Gauge32, gosnmp.Uinteger32:
		return Unsigned, true
	case gosnmp.Counter32:
		return Counter32, true
	case gosnmp.Counter64:
		return Counter64, true
	case gosnmp.TimeTicks:
		return TimeTicks, true
	case gosnmp.OctetString:
		return OctetString, true
	case gosnmp.ObjectIdentifier:
		return ObjectIdentifier, true
	case gosnmp.IPAddress:
		return IPAddress, true
	default:
		return Current, false
	}
}

// inferred returns the type to write v with to an object that has no value.
func inferred(v telemetry.Value) (Syntax, error) {
	switch v.Kind() {
	case telemetry.KindInt, telemetry.KindBool:
		return Integer, nil
	case telemetry.KindString:
		return OctetString, nil
	default:
		return Current, fmt.Errorf("the object has no value to take the type from, and %s does not say one: name it", v)
	}
}

// encode returns the variable that writes v with type typ. A value that does not fit
// is an error.
func encode(oid string, typ Syntax, v telemetry.Value) (gosnmp.SnmpPDU, error) {
	pdu := gosnmp.SnmpPDU{Name: oid}
	switch typ {
	case Integer:
		n, err := whole(v, math.MinInt32, math.MaxInt32)
		pdu.Type, pdu.Value = gosnmp.Integer, int(n)
		return pdu, err
	case Unsigned, Counter32:
		n, err := whole(v, 0, math.MaxUint32)
		pdu.Type, pdu.Value = gosnmp.Gauge32, uint32(n)
		if typ == Counter32 {
			pdu.Type = gosnmp.Counter32
		}
		return pdu, err
	case Counter64:
		return encodeCounter64(pdu, v)
	case TimeTicks:
		return encodeTicks(pdu, v)
	case OctetString:
		pdu.Type, pdu.Value = gosnmp.OctetString, v.String()
		return pdu, nil
	case HexString:
		b, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "-", "").Replace(v.String()))
		if err != nil {
			return pdu, fmt.Errorf("%q is not hexadecimal", v.String())
		}
		pdu.Type, pdu.Value = gosnmp.OctetString, b
		return pdu, nil
	case ObjectIdentifier:
		s, err := parseOID(v.String())
		pdu.Type, pdu.Value = gosnmp.ObjectIdentifier, "."+s
		return pdu, err
	case IPAddress:
		a, err := netip.ParseAddr(v.String())
		if err != nil || !a.Is4() {
			return pdu, fmt.Errorf("%q is not an IPv4 address", v.String())
		}
		pdu.Type, pdu.Value = gosnmp.IPAddress, a.String()
		return pdu, nil
	default:
		return pdu, fmt.Errorf("type %d is not known", typ)
	}
}

func encodeCounter64(pdu gosnmp.SnmpPDU, v telemetry.Value) (gosnmp.SnmpPDU, error) {
	pdu.Type = gosnmp.Counter64
	if v.Kind() == telemetry.KindString {
		n, err := strconv.ParseUint(v.String(), 10, 64)
		if err != nil {
			return pdu, fmt.Errorf("%q is not a whole number from 0 to 2^64-1", v.String())
		}
		pdu.Value = n
		return pdu, nil
	}
	n, err := whole(v, 0, math.MaxInt64)
	pdu.Value = uint64(n)
	return pdu, err
}

func encodeTicks(pdu gosnmp.SnmpPDU, v telemetry.Value) (gosnmp.SnmpPDU, error) {
	pdu.Type = gosnmp.TimeTicks
	seconds := v.Float()
	if v.Kind() == telemetry.KindString {
		x, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			return pdu, fmt.Errorf("%q is not a number of seconds", v.String())
		}
		seconds = x
	}
	ticks := math.Round(seconds * 100)
	if !(ticks >= 0 && ticks <= math.MaxUint32) {
		return pdu, fmt.Errorf("%s seconds do not fit", v)
	}
	pdu.Value = uint32(ticks)
	return pdu, nil
}

// whole returns v as a whole number within bounds.
func whole(v telemetry.Value, low, high int64) (int64, error) {
	n, ok := int64(0), true
	switch v.Kind() {
	case telemetry.KindInt:
		n = v.Int()
	case telemetry.KindBool:
		n = 2 // TruthValue, RFC 2579
		if v.Bool() {
			n = 1
		}
	case telemetry.KindFloat, telemetry.KindFloat32:
		x := v.Float()
		ok = x == math.Trunc(x) && math.Abs(x) < 1<<53
		n = int64(x)
	case telemetry.KindString:
		x, err := strconv.ParseInt(strings.TrimSpace(v.String()), 10, 64)
		n, ok = x, err == nil
	default:
		ok = false
	}
	if !ok || n < low || n > high {
		return 0, fmt.Errorf("%s is not a whole number from %d to %d", v.AppendJSON(nil), low, high)
	}
	return n, nil
}

// A write is a compiled [Write].
type write struct {
	oid   string
	typ   Syntax
	value string // template; empty: the value itself
}

// An assignment is a write with its value.
type assignment struct {
	oid   string
	typ   Syntax
	given telemetry.Value
	value telemetry.Value // given, scaled
}

// write carries out assignments in one request: the agent takes all or none.
func (t *target) write(ctx context.Context, list []assignment) error {
	if err := t.learnTypes(ctx, list); err != nil {
		return err
	}
	var errs []error
	pdus := make([]gosnmp.SnmpPDU, len(list))
	for i, a := range list {
		pdu, err := encode(a.oid, a.typ, a.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.oid, err))
		}
		pdus[i] = pdu
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	answer, err := t.client.do(ctx, 0, func(s *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return s.Set(pdus) })
	if err != nil {
		return err
	}
	if answer.Error != gosnmp.NoError {
		oid := list[0].oid
		if i := int(answer.ErrorIndex); i >= 1 && i <= len(list) {
			oid = list[i-1].oid
		}
		return fmt.Errorf("%s: %w", oid, agentError{answer.Error})
	}
	return nil
}

// learnTypes reads the objects whose type is not said.
func (t *target) learnTypes(ctx context.Context, list []assignment) error {
	var slots []*slot
	var where []int
	for i, a := range list {
		if a.typ == Current {
			slots, where = append(slots, &slot{oid: a.oid}), append(where, i)
		}
	}
	if len(slots) == 0 {
		return nil
	}
	if err := t.read(ctx, &tally{}, false, slots); err != nil {
		return err
	}
	for i, s := range slots {
		a := &list[where[i]]
		typ, ok := typeOf(s.pdu)
		if s.err == nil && ok {
			a.typ = typ
			continue
		}
		var err error
		if a.typ, err = inferred(a.value); err != nil {
			return fmt.Errorf("%s: %w", a.oid, err)
		}
	}
	return nil
}
