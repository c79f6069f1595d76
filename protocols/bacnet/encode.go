package bacnet

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// kindOf returns the type of a property's values, if the standard has one for it.
func kindOf(r wire.Reference) (wire.Kind, bool) {
	switch r.Property {
	case wire.PresentValue, wire.RelinquishDefault:
		return presentKind(r.Object.Type())
	case wire.ObjectName, wire.Description, wire.DeviceType:
		return wire.CharacterString, true
	case wire.OutOfService:
		return wire.Boolean, true
	case wire.Units:
		return wire.Enumerated, true
	case wire.CovIncrement, wire.HighLimit, wire.LowLimit, wire.MaxPresValue, wire.MinPresValue:
		k, ok := presentKind(r.Object.Type())
		return k, ok && k == wire.Real
	default:
		return 0, false
	}
}

func presentKind(t wire.ObjectType) (wire.Kind, bool) {
	switch t {
	case wire.AnalogInput, wire.AnalogOutput, wire.AnalogValue, wire.LoopObject, wire.PulseConverter:
		return wire.Real, true
	case wire.BinaryInput, wire.BinaryOutput, wire.BinaryValue, wire.LifeSafetyPoint, wire.LifeSafetyZone, wire.LoadControl,
		wire.AccessDoor, wire.BinaryLightingOutput:
		return wire.Enumerated, true
	case wire.MultiStateInput, wire.MultiStateOutput, wire.MultiStateValue, wire.Accumulator, wire.PositiveIntegerValue:
		return wire.Unsigned, true
	case wire.IntegerValue:
		return wire.Signed, true
	case wire.LargeAnalogValue:
		return wire.Double, true
	case wire.CharacterStringValue:
		return wire.CharacterString, true
	case wire.OctetStringValue:
		return wire.OctetString, true
	case wire.BitStringValue:
		return wire.BitString, true
	case wire.DateValue, wire.DatePatternValue:
		return wire.DateKind, true
	case wire.TimeValue, wire.TimePatternValue:
		return wire.TimeKind, true
	default:
		return 0, false
	}
}

// encode returns v as a value of a property. Nothing is cut: what does not fit is an
// error.
func encode(r wire.Reference, k wire.Kind, v telemetry.Value) (wire.Value, error) {
	switch k {
	case wire.Null:
		return wire.NullValue(), nil
	case wire.Boolean:
		return encodeBoolean(v)
	case wire.Unsigned, wire.Signed:
		return encodeInteger(k, v)
	case wire.Real, wire.Double:
		return encodeReal(k, v)
	case wire.Enumerated:
		return encodeEnumerated(r, v)
	case wire.CharacterString:
		return wire.TextValue(v.String()), nil
	case wire.OctetString:
		b, err := hex.DecodeString(v.String())
		if err != nil {
			return wire.Value{}, fmt.Errorf("%q is not hexadecimal", v.String())
		}
		return wire.OctetsValue(b), nil
	case wire.BitString:
		return encodeBits(r, v)
	case wire.DateKind:
		return wire.ParseDate(v.String())
	case wire.TimeKind:
		return wire.ParseTime(v.String())
	default:
		return encodeObject(v)
	}
}

func encodeBoolean(v telemetry.Value) (wire.Value, error) {
	switch strings.ToLower(v.String()) {
	case "true", "1", "1.0", "on", "active":
		return wire.BooleanValue(true), nil
	case "false", "0", "0.0", "off", "inactive":
		return wire.BooleanValue(false), nil
	default:
		return wire.Value{}, fmt.Errorf("%s is not true or false", v)
	}
}

func encodeInteger(k wire.Kind, v telemetry.Value) (wire.Value, error) {
	n, ok := whole(v)
	switch {
	case !ok:
		return wire.Value{}, fmt.Errorf("%s is not a whole number", v)
	case k == wire.Signed && n >= math.MinInt32 && n <= math.MaxInt32:
		return wire.SignedValue(n), nil
	case k == wire.Unsigned && n >= 0 && n <= math.MaxUint32:
		return wire.UnsignedValue(uint64(n)), nil
	default:
		return wire.Value{}, fmt.Errorf("%s is out of range", v)
	}
}

// whole returns v as a whole number.
func whole(v telemetry.Value) (int64, bool) {
	switch v.Kind() {
	case telemetry.KindBool, telemetry.KindInt:
		return v.Int(), true
	case telemetry.KindJSON, telemetry.KindNone:
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(v.String()), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func encodeReal(k wire.Kind, v telemetry.Value) (wire.Value, error) {
	f := v.Float()
	switch v.Kind() {
	case telemetry.KindString:
		var err error
		if f, err = strconv.ParseFloat(strings.TrimSpace(v.String()), 64); err != nil {
			return wire.Value{}, fmt.Errorf("%s is not a number", v)
		}
	case telemetry.KindJSON, telemetry.KindNone:
		return wire.Value{}, fmt.Errorf("%s is not a number", v)
	}
	if k == wire.Double {
		return wire.DoubleValue(f), nil
	}
	if math.Abs(f) > math.MaxFloat32 || math.IsNaN(f) {
		return wire.Value{}, fmt.Errorf("%s is out of range", v)
	}
	return wire.RealValue(float32(f)), nil
}

func encodeEnumerated(r wire.Reference, v telemetry.Value) (wire.Value, error) {
	if n, ok := whole(v); ok {
		if n < 0 || n > math.MaxUint32 {
			return wire.Value{}, fmt.Errorf("%s is out of range", v)
		}
		return wire.EnumeratedValue(uint32(n)), nil
	}
	s := strings.TrimSpace(v.String())
	if n, ok := wire.EnumNumber(r.Object.Type(), r.Property, s); ok {
		return wire.EnumeratedValue(n), nil
	}
	if b, err := encodeBoolean(v); err == nil && wire.HasBinaryValues(r.Object.Type(), r.Property) {
		return wire.EnumeratedValue(uint32(b.Bits)), nil
	}
	return wire.Value{}, fmt.Errorf("%s is not a value of %s", v, r.Property)
}

func encodeBits(r wire.Reference, v telemetry.Value) (wire.Value, error) {
	s := v.String()
	if strings.Trim(s, "01") == "" {
		bits := make([]bool, len(s))
		for i := range bits {
			bits[i] = s[i] == '1'
		}
		return wire.BitsValue(bits...), nil
	}
	names := wire.FlagNames(r.Property)
	bits := make([]bool, len(names))
	for name := range strings.SplitSeq(s, ",") {
		i := slices.Index(names, wire.Kebab(strings.TrimSpace(name)))
		if i < 0 {
			return wire.Value{}, fmt.Errorf("%q is not a bit of %s", name, r.Property)
		}
		bits[i] = true
	}
	return wire.BitsValue(bits...), nil
}

func encodeObject(v telemetry.Value) (wire.Value, error) {
	name, number, ok := strings.Cut(v.String(), ",")
	if !ok {
		name, number, ok = strings.Cut(v.String(), ":")
	}
	t, err := wire.ParseObjectType(name)
	n, bad := strconv.ParseUint(strings.TrimSpace(number), 10, 22)
	if !ok || err != nil || bad != nil {
		return wire.Value{}, fmt.Errorf("%s is not an object as analog-input,1", v)
	}
	return wire.ObjectIDValue(wire.NewObjectID(t, uint32(n))), nil
}

// encodeWeek returns a weekly schedule: for each day a list of times and values of a
// kind, as in [[["08:00", 21.5], ["17:30", 18]], [], …]. Single quotes are taken for
// double ones.
func encodeWeek(r wire.Reference, k wire.Kind, v telemetry.Value) ([]byte, error) {
	const days = 7
	var week [][][2]any
	dec := json.NewDecoder(strings.NewReader(strings.ReplaceAll(v.String(), "'", `"`)))
	dec.UseNumber()
	if err := dec.Decode(&week); err != nil {
		return nil, fmt.Errorf("not a weekly schedule as [[[\"08:00\", 21.5]], …]: %w", err)
	}
	if len(week) != days {
		return nil, fmt.Errorf("a weekly schedule has 7 days, and not %d", len(week))
	}
	var dst []byte
	for _, day := range week {
		dst = wire.AppendOpen(dst, 0)
		for _, entry := range day {
			s, ok := entry[0].(string)
			if !ok {
				return nil, errors.New("a time of a weekly schedule is no text")
			}
			at, err := wire.ParseTime(s)
			if err != nil {
				return nil, err
			}
			value, err := telemetry.ValueOf(entry[1])
			if err != nil {
				return nil, err
			}
			kind := k
			if value.Kind() == telemetry.KindNone {
				kind = wire.Null
			}
			encoded, err := encode(r, kind, value)
			if err != nil {
				return nil, err
			}
			dst = encoded.Append(at.Append(dst))
		}
		dst = wire.AppendClose(dst, 0)
	}
	return dst, nil
}
