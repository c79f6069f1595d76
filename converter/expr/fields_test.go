package expr_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// fieldTemplates are templates that fields can find.
func fieldTemplates() []string {
	return []string{
		"${a}", "${a.b}", "${b}", "${ts}", "${o.p.q}", "${o.p}", "${o}", "${a b}", "x ${a} y ${a.b}", "${o.x}-${o.p.q}", "constant", "${темп}",
		"${zz}", "${1st}", "${a-b}", "",
	}
}

// compareFields fails unless fields find in doc what templates find in its tree.
func compareFields(t *testing.T, doc string) {
	t.Helper()
	var f expr.Fields
	var found expr.Found
	var fields []*expr.Field
	var templates []*expr.Template
	for _, text := range fieldTemplates() {
		tpl := expr.Compile(text)
		x, ok := f.AddTemplate(tpl)
		if ok {
			fields, templates = append(fields, x), append(templates, tpl)
		}
	}
	times := map[string]*expr.FieldTime{}
	for _, path := range []string{"", "ts", "${o.x}", "a.b"} {
		at, ok := f.AddTime(expr.CompileTimeField(path, expr.TimeFormat{DayFirst: true}))
		if !ok {
			t.Fatalf("%q cannot be found", path)
		}
		times[path] = at
	}
	if !f.Scan([]byte(doc), &found) {
		return
	}
	if !json.Valid([]byte(doc)) {
		t.Fatalf("%q is not JSON", doc)
	}
	for i, tpl := range templates {
		for typ := expr.Auto; typ <= expr.JSON; typ++ {
			for _, mode := range []expr.Mode{expr.Recommended, expr.Reference} {
				root, err := fastjson.Parse(doc)
				if err != nil {
					t.Fatalf("%q: %v", doc, err)
				}
				s := expr.Scratch{Mode: mode}
				want, wantOutcome := s.Template(tpl, root, typ)
				got, outcome := s.Field(fields[i], &found, typ)
				if got != want || outcome != wantOutcome {
					t.Fatalf("%s of %q as %d: got %v (%d), want %v (%d)", tpl, doc, typ, got, outcome, want, wantOutcome)
				}
				wantText, wantOK := s.String(tpl, root)
				if text, ok := s.FieldString(fields[i], &found); text != wantText || ok != wantOK {
					t.Fatalf("%s of %q: got %q, %v, want %q, %v", tpl, doc, text, ok, wantText, wantOK)
				}
			}
		}
	}
	for path, at := range times {
		root, err := fastjson.Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		want, wantUnread := expr.CompileTimeField(path, expr.TimeFormat{DayFirst: true}).Read(root, expr.Recommended)
		if ms, unread, ok := at.Read(&found); ok && (ms != want || unread != wantUnread) {
			t.Fatalf("time %q of %q: got %d, %v, want %d, %v", path, doc, ms, unread, want, wantUnread)
		}
	}
}

func fieldDocuments() []string {
	return []string{
		`{"a":1,"b":2.50,"ts":1700000000000}`, `{"a":{"b":"x\n"},"a.b":5}`, `{"a":{"b":5},"a":{"b":6}}`, `{"a":5,"a":{"b":6}}`,
		`{"o":{"p":{"q":[1,{"z":null}]},"x":"02.01.2024"},"a b":1,"a":"2"}`, ` { "a" : { "b" : true } , "b" : null } `, `{"a":{},"o":{"p":5}}`,
		`{"a":"it's \"quoted\" é","b":-0,"темп":1e3,"1st":[],"a-b":false}`, `{"a":9007199254740993,"b":123456789012345678901234567890}`,
		`{"ts":"2024-01-02T00:00:00Z","a":{"b":1700000000}}`, `{"ts":{},"timestamp":"5"}`, `{"ts":5.5,"o":{"x":1e400}}`, `{}`, `{"a.b":null,"a":{"b":1}}`,
		`{"":1,"a":""}`, `{"b":"` + strings.Repeat("0123456789", 20) + `\\"}`, `{"b":0.1,"a":-1.5e-3}`,
	}
}

func TestFieldsFindWhatTemplatesFind(t *testing.T) {
	for _, doc := range fieldDocuments() {
		var f expr.Fields
		if !f.Scan([]byte(doc), new(expr.Found)) {
			t.Errorf("%s is not scanned", doc)
		}
		compareFields(t, doc)
	}
}

func TestFieldsLeaveToTheParserWhatIsNoObjectOfJSON(t *testing.T) {
	deep := strings.Repeat(`{"x":`, 150) + "1" + strings.Repeat("}", 150)
	var f expr.Fields
	f.AddTemplate(expr.Compile("${a}"))
	for _, doc := range []string{
		"", " ", "{", "}", "[]", "5", `"a"`, "null", `{"a":1`, `{"a":1}x`, `{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":}`, `{a:1}`, `{"a":01}`, `{"a":1.}`,
		`{"a":.5}`, `{"a":+1}`, `{"a":-}`, `{"a":1e}`, `{"a":1e+}`, `{"a":nan}`, `{"a":tru}`, `{"a":nulL}`, `{"a":"x}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u12`,
		`{"a":"12345678`, `{"12345678`, "{\"a\":\"\n\"}", "{\"a\n\":1}", "{\"b\":\"1234567\n\"}", `{"\u0061":1}`, `{"x":[1 2]}`, `{"x":[1,]}`, `{"x":{"y" 1}}`, `{"x":{"y":1,}}`, `{"x":[}`, `{"a":1 "b":2}`,
		`{"x":[1.2.3]}`, `{"x":"\ud8"}`, `{"a":1}{`, `{"a":{"b":1]}`, deep, "\ufeff{}",
	} {
		if f.Scan([]byte(doc), new(expr.Found)) {
			t.Errorf("%.60q was scanned", doc)
		}
	}
}

func TestFieldsAreForPathsOfNames(t *testing.T) {
	for text, want := range map[string]bool{
		"${a}": true, "${a.b.c}": true, "${a['b c']}": false, "${$.a}": true, "x": true, "${a}${b}": true, "": true,
		"${a[0]}": false, "${a.*}": false, "${$..a}": false, "${a,b}": false, "${a|b}": false, "${$}": false, "${a b}": false, "${}": false, "${a[}": false,
	} {
		var f expr.Fields
		if _, ok := f.AddTemplate(expr.Compile(text)); ok != want {
			t.Errorf("%s: got %v", text, ok)
		}
	}
	var f expr.Fields
	if _, ok := f.AddTime(expr.CompileTimeField("a[0]", expr.TimeFormat{})); ok {
		t.Error("an element is found")
	}
}

func TestATimeThatIsNotAtItsPathNeedsTheWholeDocument(t *testing.T) {
	for doc, want := range map[string]bool{`{"at":1}`: true, `{"x":{"at":1}}`: false, `{"at":"soon"}`: false, `{"at":null,"ts":5}`: false} {
		var f expr.Fields
		var found expr.Found
		at, _ := f.AddTime(expr.CompileTimeField("at", expr.TimeFormat{}))
		if !f.Scan([]byte(doc), &found) {
			t.Fatal(doc)
		}
		if _, _, ok := at.Read(&found); ok != want {
			t.Errorf("%s: got %v", doc, ok)
		}
	}
}

func TestFieldsAllocateNothing(t *testing.T) {
	var f expr.Fields
	number, _ := f.AddTemplate(expr.Compile("${o.n}"))
	text, _ := f.AddTemplate(expr.Compile("D ${s}"))
	at, _ := f.AddTime(expr.CompileTimeField("", expr.TimeFormat{}))
	var found expr.Found
	s := expr.Scratch{Strings: new(expr.Interner)}
	doc := []byte(`{"o":{"n":21.5},"s":"AM","ts":1700000000000,"rest":[1,2,{"x":"y"}]}`)
	scan := func() {
		f.Scan(doc, &found)
		s.Field(number, &found, expr.Float)
		s.FieldString(text, &found)
		if ms, _, ok := at.Read(&found); ms != 1700000000000 || !ok {
			t.Fatal(ms)
		}
	}
	scan()
	if n := testing.AllocsPerRun(200, scan); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFields(f *testing.F) {
	for _, doc := range fieldDocuments() {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if len(doc) < 2000 && strings.ToValidUTF8(doc, "") == doc {
			compareFields(t, doc)
		}
	})
}

// Whatever is an object for encoding/json is scanned, but for escapes in names and
// what is nested deeply.
func FuzzFieldsScanWhatIsJSON(f *testing.F) {
	for _, doc := range fieldDocuments() {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var object map[string]any
		if json.Unmarshal([]byte(doc), &object) != nil || object == nil || strings.Contains(doc, `\`) || strings.Count(doc, "[")+strings.Count(doc, "{") > 100 {
			return
		}
		var fields expr.Fields
		if !fields.Scan([]byte(doc), new(expr.Found)) {
			t.Fatalf("%q", doc)
		}
	})
}

func BenchmarkFields(b *testing.B) {
	var f expr.Fields
	for _, text := range []string{"${n}", "${o.x}", "${s}"} {
		f.AddTemplate(expr.Compile(text))
	}
	var found expr.Found
	doc := []byte(body)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if !f.Scan(doc, &found) {
			b.Fatal(body)
		}
	}
}
