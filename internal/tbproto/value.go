package tbproto

import (
	"encoding/json"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Fields of KeyValueProto (queue.proto).
const (
	kvKey    = 1
	kvType   = 2
	kvBool   = 3
	kvLong   = 4
	kvDouble = 5
	kvString = 6
	kvJSON   = 7
)

// Values of KeyValueType (queue.proto).
const (
	typeBool = iota
	typeLong
	typeDouble
	typeString
	typeJSON
)

// sendable reports whether the platform takes a value of this key: an empty
// key makes it refuse the whole message.
func sendable(key string, v telemetry.Value) bool { return key != "" && v.Valid() }

// double returns v as the double that is sent. A single precision value becomes
// the double with the same shortest decimal, so that 230.1 stays 230.1.
func double(v telemetry.Value) float64 {
	if v.Kind() != telemetry.KindFloat32 {
		return v.Float()
	}
	var text [32]byte
	f, err := strconv.ParseFloat(string(strconv.AppendFloat(text[:0], v.Float(), 'g', -1, 32)), 64)
	if err != nil {
		return v.Float()
	}
	return f
}

// text returns the contents of a string or JSON value.
func text(v telemetry.Value) string {
	_, _, s := v.Parts()
	return s
}

// sizeKeyValue returns the length of a KeyValueProto.
func sizeKeyValue(key string, v telemetry.Value) int {
	n := sizeString(kvKey, key)
	switch v.Kind() {
	case telemetry.KindBool:
		return n + sizeVarint(kvBool, protowire.EncodeBool(v.Bool()))
	case telemetry.KindInt:
		return n + sizeVarint(kvType, typeLong) + sizeVarint(kvLong, uint64(v.Int()))
	case telemetry.KindFloat, telemetry.KindFloat32:
		n += sizeVarint(kvType, typeDouble)
		if _, bits, _ := v.Parts(); bits != 0 { // the double is zero exactly when v is
			n += protowire.SizeTag(kvDouble) + protowire.SizeFixed64()
		}
		return n
	case telemetry.KindString:
		return n + sizeVarint(kvType, typeString) + sizeString(kvString, text(v))
	default:
		return n + sizeVarint(kvType, typeJSON) + sizeString(kvJSON, text(v))
	}
}

// appendKeyValue appends a KeyValueProto.
func appendKeyValue(b []byte, key string, v telemetry.Value) []byte {
	b = appendString(b, kvKey, key)
	switch v.Kind() {
	case telemetry.KindBool:
		return appendBool(b, kvBool, v.Bool())
	case telemetry.KindInt:
		b = appendVarint(b, kvType, typeLong)
		return appendVarint(b, kvLong, uint64(v.Int()))
	case telemetry.KindFloat, telemetry.KindFloat32:
		b = appendVarint(b, kvType, typeDouble)
		bits := math.Float64bits(double(v))
		if bits == 0 {
			return b
		}
		return protowire.AppendFixed64(protowire.AppendTag(b, kvDouble, protowire.Fixed64Type), bits)
	case telemetry.KindString:
		b = appendVarint(b, kvType, typeString)
		return appendString(b, kvString, text(v))
	default:
		b = appendVarint(b, kvType, typeJSON)
		return appendString(b, kvJSON, text(v))
	}
}

// A keyValue collects the fields of a KeyValueProto, of which the type says
// which counts.
type keyValue struct {
	key      string
	typ      int32
	boolean  bool
	long     int64
	number   float64
	str, doc string
}

func (kv *keyValue) decode(f field) error {
	switch f.num {
	case kvKey:
		return f.string(&kv.key)
	case kvType:
		f.int32(&kv.typ)
	case kvBool:
		f.bool(&kv.boolean)
	case kvLong:
		f.int64(&kv.long)
	case kvDouble:
		f.double(&kv.number)
	case kvString:
		return f.string(&kv.str)
	case kvJSON:
		return f.string(&kv.doc)
	}
	return nil
}

// value returns the value, or an absent one for JSON that is none and for a
// type that is not known.
func (kv *keyValue) value() telemetry.Value {
	switch kv.typ {
	case typeBool:
		return telemetry.Bool(kv.boolean)
	case typeLong:
		return telemetry.Int(kv.long)
	case typeDouble:
		return telemetry.Float(kv.number)
	case typeString:
		return telemetry.String(kv.str)
	case typeJSON:
		if json.Valid([]byte(kv.doc)) {
			return telemetry.Restore(telemetry.KindJSON, 0, kv.doc)
		}
	}
	return telemetry.Value{}
}

func (kv *keyValue) point(ts int64) telemetry.Point {
	return telemetry.Point{Key: kv.key, Value: kv.value(), TS: ts}
}
