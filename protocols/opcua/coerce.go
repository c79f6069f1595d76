package opcua

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A shape is the type of a node's values.
type shape struct {
	kind  ua.TypeID
	array bool
}

// shapeOf finds the type that a node wants: that of its value, or if it has none,
// that of its data type.
func (l *link) shapeOf(ctx context.Context, n *ua.NodeID) (shape, error) {
	req := readRequest(ua.AttributeIDValue, n)
	for _, a := range []ua.AttributeID{ua.AttributeIDDataType, ua.AttributeIDValueRank} {
		req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: n, AttributeID: a, DataEncoding: &ua.QualifiedName{}})
	}
	res, err := send[*ua.ReadResponse](ctx, l, req)
	if err != nil {
		return shape{}, err
	}
	if len(res.Results) != 3 {
		return shape{}, ua.StatusBadUnknownResponse
	}
	value, dataType, rank := res.Results[0], res.Results[1], res.Results[2]
	if v := value.Value; v != nil && v.Value() != nil {
		return shape{kind: v.Type(), array: v.Has(ua.VariantArrayValues)}, nil
	}
	if dataType.Value == nil || bad(dataType.Status) {
		return shape{}, statusError(dataType.Status)
	}
	id, ok := dataType.Value.Value().(*ua.NodeID)
	if !ok {
		return shape{}, ua.StatusBadDataTypeIDUnknown
	}
	s := shape{}
	if rank.Value != nil {
		r, _ := rank.Value.Value().(int32)
		s.array = r >= 1
	}
	s.kind, err = l.types.builtin(ctx, id)
	return s, err
}

// statusError returns a status as an error.
func statusError(s ua.StatusCode) error {
	if s == 0 {
		return nil
	}
	return s
}

// coerce makes v a value of the shape. A value that does not fit is refused, and
// never cut.
func coerce(v telemetry.Value, s shape) (*ua.Variant, error) {
	if !s.array {
		x, err := scalar(v, s.kind)
		if err != nil {
			return nil, err
		}
		return ua.NewVariant(x)
	}
	if s.kind == ua.TypeIDByteString {
		return nil, errors.New("lists of ByteString cannot be written")
	}
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(v.String()), &items); err != nil || v.Kind() == telemetry.KindNone {
		return nil, fmt.Errorf("%s is not a list, which the node wants", shorten(v))
	}
	var list reflect.Value
	for i, raw := range items {
		e, err := jsonValue(raw)
		if err != nil {
			return nil, err
		}
		x, err := scalar(e, s.kind)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if s.kind == ua.TypeIDVariant { // elements may differ in type
			if x, err = ua.NewVariant(x); err != nil {
				return nil, err
			}
		}
		if !list.IsValid() {
			list = newList(reflect.TypeOf(x), len(items))
		}
		list.Index(i).Set(reflect.ValueOf(x))
	}
	if !list.IsValid() {
		zero, err := zeroOf(s.kind)
		if err != nil {
			return nil, err
		}
		list = newList(reflect.TypeOf(zero), 0)
	}
	return ua.NewVariant(list.Interface())
}

// newList makes a slice. One of bytes has a type of its own, since []byte is a
// ByteString.
func newList(elem reflect.Type, n int) reflect.Value {
	if elem.Kind() == reflect.Uint8 {
		return reflect.ValueOf(make(ua.ByteArray, n))
	}
	return reflect.MakeSlice(reflect.SliceOf(elem), n, n)
}

func zeroOf(kind ua.TypeID) (any, error) {
	for _, v := range []telemetry.Value{telemetry.Int(0), telemetry.String("")} {
		if x, err := scalar(v, kind); err == nil {
			return x, nil
		}
	}
	return nil, fmt.Errorf("an empty list of %s cannot be written", kindName(kind))
}

// jsonValue reads a JSON value, numbers beyond int64 as text.
func jsonValue(raw json.RawMessage) (telemetry.Value, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var x any
	if err := dec.Decode(&x); err != nil {
		return telemetry.Value{}, fmt.Errorf("parameters are not JSON: %w", err)
	}
	if n, ok := x.(json.Number); ok {
		if _, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
			if _, err := n.Int64(); err != nil {
				return telemetry.String(n.String()), nil // as text it stays exact
			}
		}
	}
	return telemetry.ValueOf(x)
}

func kindName(k ua.TypeID) string { return strings.TrimPrefix(k.String(), "TypeID") }

// shorten returns v for use in a message.
func shorten(v telemetry.Value) string {
	const most = 60
	s := strings.ToValidUTF8(string(v.AppendJSON(nil)), "?")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// scalar makes v a single value of a built-in type.
func scalar(v telemetry.Value, kind ua.TypeID) (any, error) {
	if v.Kind() == telemetry.KindNone {
		return nil, errors.New("there is no value")
	}
	switch kind {
	case ua.TypeIDBoolean:
		return boolean(v)
	case ua.TypeIDSByte:
		return signed[int8](v, kind)
	case ua.TypeIDInt16:
		return signed[int16](v, kind)
	case ua.TypeIDInt32:
		return signed[int32](v, kind)
	case ua.TypeIDInt64:
		return signed[int64](v, kind)
	case ua.TypeIDByte:
		return unsigned[uint8](v, kind)
	case ua.TypeIDUint16:
		return unsigned[uint16](v, kind)
	case ua.TypeIDUint32:
		return unsigned[uint32](v, kind)
	case ua.TypeIDUint64:
		return unsigned[uint64](v, kind)
	case ua.TypeIDFloat, ua.TypeIDDouble:
		return float(v, kind)
	case ua.TypeIDVariant, ua.TypeIDNull:
		return natural(v)
	default:
		return text(v, kind)
	}
}

func wrong(v telemetry.Value, kind ua.TypeID) error {
	return fmt.Errorf("%s is not a value of type %s", shorten(v), kindName(kind))
}

func boolean(v telemetry.Value) (any, error) {
	switch v.Kind() {
	case telemetry.KindBool:
		return v.Bool(), nil
	case telemetry.KindInt:
		if n := v.Int(); n == 0 || n == 1 {
			return n == 1, nil
		}
	case telemetry.KindString:
		switch strings.ToLower(strings.TrimSpace(v.String())) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
	}
	return nil, wrong(v, ua.TypeIDBoolean)
}

// digits returns a whole number as text, of which the range is not checked.
func digits(v telemetry.Value, kind ua.TypeID) (string, error) {
	switch v.Kind() {
	case telemetry.KindBool:
		if v.Bool() {
			return "1", nil
		}
		return "0", nil
	case telemetry.KindInt:
		return strconv.FormatInt(v.Int(), 10), nil
	case telemetry.KindFloat, telemetry.KindFloat32:
		if f := v.Float(); f == math.Trunc(f) && math.Abs(f) < 1<<63 {
			return strconv.FormatFloat(f, 'f', 0, 64), nil
		}
	case telemetry.KindString:
		s := strings.TrimSpace(v.String())
		if f, err := strconv.ParseFloat(s, 64); err == nil && strings.ContainsAny(s, ".eE") && !strings.HasPrefix(s, "0x") {
			return digits(telemetry.Float(f), kind)
		}
		return s, nil
	}
	return "", wrong(v, kind)
}

func signed[T int8 | int16 | int32 | int64](v telemetry.Value, kind ua.TypeID) (any, error) {
	s, err := digits(v, kind)
	if err != nil {
		return nil, err
	}
	var zero T
	n, err := strconv.ParseInt(s, 0, reflect.TypeOf(zero).Bits())
	if err != nil {
		return nil, outside(v, kind, err)
	}
	return T(n), nil
}

func unsigned[T uint8 | uint16 | uint32 | uint64](v telemetry.Value, kind ua.TypeID) (any, error) {
	s, err := digits(v, kind)
	if err != nil {
		return nil, err
	}
	var zero T
	n, err := strconv.ParseUint(s, 0, reflect.TypeOf(zero).Bits())
	if err != nil && strings.HasPrefix(s, "-") {
		return nil, fmt.Errorf("%s is outside the range of %s", shorten(v), kindName(kind))
	}
	if err != nil {
		return nil, outside(v, kind, err)
	}
	return T(n), nil
}

func outside(v telemetry.Value, kind ua.TypeID, err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s is outside the range of %s", shorten(v), kindName(kind))
	}
	return wrong(v, kind)
}

func float(v telemetry.Value, kind ua.TypeID) (any, error) {
	var f float64
	switch v.Kind() {
	case telemetry.KindInt, telemetry.KindFloat, telemetry.KindFloat32, telemetry.KindBool:
		f = v.Float()
	case telemetry.KindString:
		var err error
		if f, err = strconv.ParseFloat(strings.TrimSpace(v.String()), 64); err != nil {
			return nil, outside(v, kind, err)
		}
	default:
		return nil, wrong(v, kind)
	}
	if kind == ua.TypeIDDouble {
		return f, nil
	}
	if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
		return nil, fmt.Errorf("%s is outside the range of Float", shorten(v))
	}
	return float32(f), nil
}

// natural returns the value in the type that it has by itself.
func natural(v telemetry.Value) (any, error) {
	switch v.Kind() {
	case telemetry.KindBool:
		return v.Bool(), nil
	case telemetry.KindInt:
		return v.Int(), nil
	case telemetry.KindFloat:
		return v.Float(), nil
	case telemetry.KindFloat32:
		return float32(v.Float()), nil
	case telemetry.KindString:
		return v.String(), nil
	default:
		return nil, fmt.Errorf("%s has no type that is known", shorten(v))
	}
}

// text makes v a value of a type that is written as text.
func text(v telemetry.Value, kind ua.TypeID) (any, error) {
	s := v.String()
	switch kind {
	case ua.TypeIDString:
		return s, nil
	case ua.TypeIDXMLElement:
		return ua.XMLElement(s), nil
	case ua.TypeIDLocalizedText:
		return ua.NewLocalizedText(s), nil
	case ua.TypeIDByteString:
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("%s is not hexadecimal, which ByteString is written in", shorten(v))
		}
		return b, nil
	case ua.TypeIDDateTime:
		return moment(v)
	case ua.TypeIDGUID:
		if g := ua.NewGUID(s); g != nil {
			return g, nil
		}
	case ua.TypeIDNodeID:
		return parseNodeID(s)
	case ua.TypeIDQualifiedName:
		seg, err := parseSegment(s)
		return &ua.QualifiedName{NamespaceIndex: uint16(max(seg.namespace, 0)), Name: seg.name}, err
	case ua.TypeIDStatusCode:
		n, err := unsigned[uint32](v, kind)
		if err != nil {
			return nil, err
		}
		return ua.StatusCode(n.(uint32)), nil
	default:
		return nil, fmt.Errorf("values of type %s cannot be written", kindName(kind))
	}
	return nil, wrong(v, kind)
}

// moment reads a time: ISO 8601, of which UTC may be missing, or Unix
// milliseconds.
func moment(v telemetry.Value) (any, error) {
	if v.Kind() == telemetry.KindInt {
		return time.UnixMilli(v.Int()).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, strings.TrimSpace(v.String())); err == nil {
			return t.UTC(), nil
		}
	}
	return nil, wrong(v, ua.TypeIDDateTime)
}
