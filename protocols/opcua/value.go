package opcua

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// valueOf returns the value of v: numbers, booleans and texts as they are, arrays
// and structures as JSON, everything else as text. It is false if there is none.
// types explain structures, and may be nil. compatible has the forms of the
// reference gateway.
func valueOf(v *ua.Variant, types *typeTable, compatible bool) (telemetry.Value, bool) {
	if v == nil {
		return telemetry.Value{}, false
	}
	switch x := v.Value().(type) {
	case nil:
		return telemetry.Value{}, false
	case bool:
		return telemetry.Bool(x), true
	case int8:
		return telemetry.Int(int64(x)), true
	case uint8:
		return telemetry.Int(int64(x)), true
	case int16:
		return telemetry.Int(int64(x)), true
	case uint16:
		return telemetry.Int(int64(x)), true
	case int32:
		return telemetry.Int(int64(x)), true
	case uint32:
		return telemetry.Int(int64(x)), true
	case int64:
		return telemetry.Int(x), true
	case uint64:
		return telemetry.Uint(x), true
	case float32:
		return telemetry.Float32(x), true
	case float64:
		return telemetry.Float(x), true
	case string:
		return telemetry.String(strings.ToValidUTF8(x, "\uFFFD")), true
	default:
		return other(x, types, compatible)
	}
}

// other is valueOf for what is no number, boolean or string.
func other(x any, types *typeTable, compatible bool) (telemetry.Value, bool) {
	if s, ok := textOf(x, compatible); ok {
		return telemetry.String(s), true
	}
	j := jsonWriter{types: types, compatible: compatible}
	doc, ok := j.append(nil, x)
	if !ok || string(doc) == "null" {
		return telemetry.Value{}, false
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(doc)), true
}

// textOf returns the text of built-in types that have one.
func textOf(x any, compatible bool) (string, bool) {
	switch x := x.(type) {
	case time.Time:
		return isoTime(x), true
	case []byte:
		return hex.EncodeToString(x), x != nil
	case *ua.GUID:
		return strings.ToLower(x.String()), true
	case ua.XMLElement:
		return strings.ToValidUTF8(string(x), "\uFFFD"), true
	case *ua.XMLElement:
		return strings.ToValidUTF8(string(*x), "\uFFFD"), true
	case *ua.NodeID:
		return x.String(), true
	case *ua.ExpandedNodeID:
		return x.String(), true
	case ua.StatusCode:
		return statusName(x), true
	case *ua.QualifiedName:
		return strconv.Itoa(int(x.NamespaceIndex)) + ":" + strings.ToValidUTF8(x.Name, "\uFFFD"), true
	case *ua.LocalizedText:
		if compatible {
			return "LocalizedText(Locale=" + pythonText(x.Locale) + ", Text=" + pythonText(x.Text) + ")", true
		}
		return strings.ToValidUTF8(x.Text, "\uFFFD"), true
	default:
		return "", false
	}
}

// isoTime is the form of Python's isoformat, which the reference gateway sends.
func isoTime(t time.Time) string {
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

// statusName returns the name of a status as the specification has it.
func statusName(s ua.StatusCode) string {
	for _, code := range [...]ua.StatusCode{s, s & 0xffff0000} {
		if d, ok := ua.StatusCodes[code]; ok {
			return specified(strings.TrimPrefix(d.Name, "Status"))
		}
	}
	return "0x" + strconv.FormatUint(uint64(s), 16)
}

// specified writes initialisms in a name as the specification does. The library
// writes them as is usual in Go.
func specified(name string) string {
	for _, s := range [...]string{"ID", "TCP", "URI", "URL"} {
		name = strings.ReplaceAll(name, s, s[:1]+strings.ToLower(s[1:]))
	}
	return name
}

// A jsonWriter writes arrays and structures as JSON.
type jsonWriter struct {
	types      *typeTable
	compatible bool
	depth      int
}

// maxDepth bounds how deep values may be nested.
const maxDepth = 32

// append adds x to dst. It is false if x holds a structure that nobody explains.
func (j *jsonWriter) append(dst []byte, x any) ([]byte, bool) {
	if j.depth++; j.depth > maxDepth {
		return dst, false
	}
	defer func() { j.depth-- }()
	switch x := x.(type) {
	case nil:
		return append(dst, "null"...), true
	case *ua.Variant:
		if x == nil {
			return append(dst, "null"...), true
		}
		return j.append(dst, x.Value())
	case *ua.DataValue:
		return j.append(dst, x.Value)
	case *ua.ExtensionObject:
		return j.object(dst, x)
	case string:
		return telemetry.AppendString(dst, strings.ToValidUTF8(x, "\uFFFD")), true
	case uint64:
		return strconv.AppendUint(dst, x, 10), true
	case float32:
		return telemetry.Float32(x).AppendJSON(dst), true
	case float64:
		return telemetry.Float(x).AppendJSON(dst), true
	}
	if s, ok := textOf(x, j.compatible); ok {
		return telemetry.AppendString(dst, s), true
	}
	return j.reflected(dst, reflect.ValueOf(x))
}

// reflected writes slices, the structures that the library knows, and the named
// integers in them.
func (j *jsonWriter) reflected(dst []byte, v reflect.Value) ([]byte, bool) {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10), true
	case reflect.String:
		return telemetry.AppendString(dst, strings.ToValidUTF8(v.String(), "\uFFFD")), true
	case reflect.Pointer:
		if v.IsNil() {
			return append(dst, "null"...), true
		}
		return j.fields(dst, v.Elem())
	case reflect.Slice:
		return j.list(dst, v)
	default:
		return dst, false
	}
}

func (j *jsonWriter) list(dst []byte, v reflect.Value) (_ []byte, ok bool) {
	if v.IsNil() {
		return append(dst, "null"...), true
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if j.compatible && v.Type().Elem().Kind() != reflect.Slice {
			dst = telemetry.AppendString(dst, pythonString(v.Index(i).Interface(), j))
			continue
		}
		if dst, ok = j.append(dst, v.Index(i).Interface()); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func (j *jsonWriter) fields(dst []byte, v reflect.Value) (_ []byte, ok bool) {
	if v.Kind() != reflect.Struct {
		return j.append(dst, v.Interface())
	}
	dst = append(dst, '{')
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(telemetry.AppendString(dst, f.Name), ':')
		if dst, ok = j.append(dst, v.Field(i).Interface()); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

// object writes a structure.
func (j *jsonWriter) object(dst []byte, x *ua.ExtensionObject) ([]byte, bool) {
	if x == nil || x.EncodingMask == ua.ExtensionObjectEmpty {
		return append(dst, "null"...), true
	}
	s, ok := x.Value.(*structure)
	if !ok {
		if x.Value == nil {
			return dst, false
		}
		return j.append(dst, x.Value)
	}
	if j.types == nil {
		return dst, false
	}
	return j.types.append(dst, x.TypeID.NodeID.String(), s.body, j)
}

// pythonString returns the text that Python makes of an element of an array.
func pythonString(x any, j *jsonWriter) string {
	switch x := x.(type) {
	case bool:
		if x {
			return "True"
		}
		return "False"
	case string:
		return x
	case float32:
		return pythonFloat(float64(x)) // asyncua widens it
	case float64:
		return pythonFloat(x)
	}
	if s, ok := textOf(x, true); ok {
		return s
	}
	doc, ok := j.append(nil, x)
	if !ok {
		return "None"
	}
	if s := string(doc); !strings.HasPrefix(s, `"`) {
		return s
	}
	var s string
	_ = json.Unmarshal(doc, &s) // it is a JSON text
	return s
}

func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if abs := math.Abs(f); abs == 0 || abs >= 1e-4 && abs < 1e16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
	}
	return s
}

func pythonText(s string) string {
	if s == "" {
		return "None"
	}
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `\'`) + "'"
}
