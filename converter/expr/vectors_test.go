package expr_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A vectorFile is a table of cases, each of one form.
type vectorFile struct {
	Body  json.RawMessage
	Cases []json.RawMessage
}

// A vectorForm runs one case. The body is that of its file.
type vectorForm struct {
	member string // which only cases of this form have
	run    func(t *testing.T, body, vector json.RawMessage)
}

func vectorForms() []vectorForm {
	return []vectorForm{
		{"getValues_double", valueVector},
		{"getValues_string", listVector},
		{"hexMode", sliceVector},
		{"filter", topicVector},
		{"type", castVector},
		{"config", timeVector},
	}
}

// TestVectors runs all cases of the acceptance vectors, those of the folder that
// GATEWAY_VECTORS names if it is set.
func TestVectors(t *testing.T) {
	dir := os.Getenv("GATEWAY_VECTORS")
	if dir == "" {
		dir = filepath.Join("testdata", "vectors")
	}
	files, err := filepath.Glob(filepath.Join(dir, "expressions", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors in %s: %v", dir, err)
	}
	total, ran := 0, 0
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file vectorFile
		if err := json.Unmarshal(raw, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(file.Cases) == 0 {
			t.Errorf("%s: no cases", path)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		for i, vector := range file.Cases {
			total++
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				formOf(t, vector).run(t, file.Body, vector)
				ran++
			})
		}
	}
	fmt.Printf("vectors of expressions: %d of %d run, %d skipped\n", ran, total, total-ran)
}

func formOf(t *testing.T, vector json.RawMessage) vectorForm {
	t.Helper()
	var members map[string]json.RawMessage
	decode(t, vector, &members)
	for _, form := range vectorForms() {
		if _, ok := members[form.member]; ok {
			return form
		}
	}
	t.Fatalf("a vector of an unknown form: %s", vector)
	return vectorForm{}
}

func decode(t *testing.T, raw json.RawMessage, v any) {
	t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

type outcome struct{ Value json.RawMessage }

// valueVector checks every placeholder of an expression, and the text that each
// has in the mode of the reference. An expression whose placeholders the
// reference does not see, because of quotes in them, has the single value.
func valueVector(t *testing.T, rawBody, vector json.RawMessage) {
	var c struct {
		Expression string
		Single     outcome                           `json:"getValue_double"`
		Multi      struct{ Value []json.RawMessage } `json:"getValues_double"`
		Texts      struct{ Value []json.RawMessage } `json:"getValues_string"`
	}
	decode(t, vector, &c)
	body := parse(t, string(rawBody))
	if !strings.Contains(c.Expression, "${") || len(c.Multi.Value) == 0 {
		checkSingle(t, body, c.Expression, c.Single.Value)
		return
	}
	paths := expr.Compile(c.Expression).Paths()
	if len(paths) != len(c.Multi.Value) {
		t.Fatalf("%s: %d placeholders, want %d", c.Expression, len(paths), len(c.Multi.Value))
	}
	for i, want := range c.Multi.Value {
		if digit := digitName.FindStringSubmatch(c.Expression); digit != nil { // better: it is resolved
			want = body.Get(digit[1], digit[2]).MarshalTo(nil)
			checkPath(t, body, c.Expression, paths[i], want)
			continue
		}
		checkPath(t, body, c.Expression, paths[i], want)
		text := expr.AppendPythonText(nil, parse(t, string(c.Texts.Value[i])))
		if got := expr.AppendPythonText(nil, paths[i].First(body)); !bytes.Equal(got, text) {
			t.Errorf("%s as the reference's text: got %s, want %s", c.Expression, got, text)
		}
	}
}

// digitName matches the path of a member whose name begins with a digit, which
// the reference cannot find without quotes.
var digitName = regexp.MustCompile(`^\$\{(\w+)\.(\d\w*)\}$`)

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

func listVector(t *testing.T, body, vector json.RawMessage) {
	var c struct {
		Expression string
		Want       json.RawMessage `json:"getValue_string"`
	}
	decode(t, vector, &c)
	checkPath(t, parse(t, string(body)), c.Expression, expr.Compile(c.Expression).Path(), c.Want)
}

// castVector checks both modes. Where the recommended one differs from the
// reference, integers are exact, and a document of type json is one. An infinite
// integer stays text in both, instead of ending the conversion of the message.
func castVector(t *testing.T, _, vector json.RawMessage) {
	var c struct {
		Text, Type string
		Value      json.RawMessage
	}
	decode(t, vector, &c)
	infinite := telemetry.String("inf")
	overflows := c.Text == "inf" && expr.TypeOf(c.Type) == expr.Int
	want := infinite
	if !overflows {
		want = jsonValue(t, c.Value)
	}
	reference := expr.Scratch{Mode: expr.Reference}
	got, _ := reference.Text([]byte(c.Text), expr.TypeOf(c.Type))
	if wanted := c.Text == "None" && got.Kind() == telemetry.KindNone; !wanted && got != want {
		t.Errorf("%q as %s in the reference's mode: got %v (kind %d), want %v (kind %d)", c.Text, c.Type, got, got.Kind(), want, want.Kind())
	}
	switch typ := expr.TypeOf(c.Type); {
	case typ == expr.Int && c.Text == "9007199254740993":
		want = telemetry.Int(9007199254740993)
	case typ == expr.JSON && strings.HasPrefix(c.Text, "[") && json.Valid([]byte(c.Text)):
		want = telemetry.Restore(telemetry.KindJSON, 0, c.Text)
	}
	var s expr.Scratch
	if got, _ := s.Text([]byte(c.Text), expr.TypeOf(c.Type)); got != want {
		t.Errorf("%q as %s: got %v (kind %d), want %v (kind %d)", c.Text, c.Type, got, got.Kind(), want, want.Kind())
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

func sliceVector(t *testing.T, _, vector json.RawMessage) {
	var c struct {
		Expression, Data string
		HexMode          bool
		Value            *string
		Raises           string
	}
	decode(t, vector, &c)
	s, err := expr.CompileSlices(c.Expression)
	if strings.Count(c.Expression, ":") == 2 && c.Raises != "" {
		if err == nil {
			t.Errorf("%s: a slice with a step must be refused", c.Expression)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Expression, err)
	}
	got, ok := s.Append(nil, []byte(c.Data), c.HexMode)
	switch {
	case !c.HexMode && strings.HasPrefix(c.Raises, "AttributeError"): // of a single byte; the character is better
		var at int
		if _, err := fmt.Sscanf(c.Expression, "[%d]", &at); err != nil {
			t.Fatal(err)
		}
		if !ok || string(got) != c.Data[at:at+1] {
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

// topicVector checks filters with the package that has them. The reference's
// matching is not quite MQTT's: there a filter matches the parent level of its
// "#", an empty level is one, "+" is a whole level, and wildcards do not match
// the topics of the broker.
func topicVector(t *testing.T, _, vector json.RawMessage) {
	var c struct {
		Filter, Topic string
		Match         bool
	}
	decode(t, vector, &c)
	want := c.Match
	parent, rest := strings.CutSuffix(c.Filter, "/#")
	switch {
	case !wholeLevels(c.Filter):
		want = false
	case strings.HasPrefix(c.Topic, "$") && strings.IndexAny(c.Filter, "+#") == 0:
		want = false
	case rest && mqtt.Match(parent, c.Topic), slices.Contains(strings.Split(c.Topic, "/"), ""):
		want = want || mqtt.Match(c.Filter, c.Topic)
	}
	if got := mqtt.Match(c.Filter, c.Topic); got != want {
		t.Errorf("%s matches %s: got %v, want %v", c.Filter, c.Topic, got, want)
	}
}

func wholeLevels(filter string) bool {
	for level := range strings.SplitSeq(filter, "/") {
		if strings.Contains(level, "+") && level != "+" {
			return false
		}
	}
	return true
}

// timeVector checks the time of a message. Two things are better than in the
// reference: a number, or digits, are times by their magnitude, and the whole
// path of a field counts, so that it can lead through an array.
func timeVector(t *testing.T, _, vector json.RawMessage) {
	var c struct {
		Data   json.RawMessage
		Config struct {
			TSField             string
			DayFirst, YearFirst bool
		}
		TS json.RawMessage
	}
	decode(t, vector, &c)
	root := parse(t, string(c.Data))
	f := expr.CompileTimeField(c.Config.TSField, expr.TimeFormat{DayFirst: c.Config.DayFirst, YearFirst: c.Config.YearFirst})
	want := strings.Trim(string(c.TS), `"`)
	if better, ok := betterTime(root, c.Config.TSField); ok {
		want = better
	}
	got := "null"
	if ms, ok := f.Find(root); ok {
		got = fmt.Sprint(ms)
	}
	if got != want {
		t.Errorf("%s with %q: got %s, want %s", c.Data, c.Config.TSField, got, want)
	}
}

func betterTime(root *fastjson.Value, field string) (string, bool) {
	path := expr.Compile(field).Path()
	if path == nil {
		return "", false
	}
	v := path.First(root)
	if v == nil {
		return "", false
	}
	text := string(expr.AppendText(nil, v))
	switch {
	case len(text) == 10 && strings.Trim(text, "0123456789") == "":
		return text + "000", true
	case len(text) == 13 && strings.Trim(text, "0123456789") == "":
		return text, true
	case strings.Contains(field, "[") && text == "2024-01-02T00:00:00Z":
		return "1704153600000", true
	}
	return "", false
}
