package expr_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// jsonpathPeer answers with the results of jsonpath_rw (r, null if it raises),
// and with those of the same library made lenient (l), which finds nothing where
// the original raises: an index of what is no list, a slice of a number with a
// fraction, the parent of the document. Intersections, which it parses and then
// cannot evaluate, count as errors.
const jsonpathPeer = `
import json, sys, ply.lex, ply.yacc, logging
import jsonpath_rw.jsonpath as J
from jsonpath_rw.parser import JsonPathParser, IteratorToTokenStream
from jsonpath_rw.lexer import JsonPathLexer, JsonPathLexerError
log = logging.getLogger("x")
log.addHandler(logging.NullHandler()); log.propagate = False
P = ply.yacc.yacc(module=JsonPathParser(), debug=False, tabmodule="t", write_tables=0, start="jsonpath", errorlog=log)
L = ply.lex.lex(module=JsonPathLexer(), errorlog=log)
def tokens(text):
    l = L.clone(); l.latest_newline = 0; l.string_value = None; l.lexstatestack = []; l.begin("INITIAL"); l.input(text)
    while True:
        t = l.token()
        if t is None: break
        t.col = t.lexpos - l.latest_newline
        yield t
    if l.string_value is not None: raise JsonPathLexerError("eof")
def refuse(self, *a): raise NotImplementedError
J.Intersect.__init__ = refuse
strict = J.Index.find, J.Slice.find, J.Parent.find
def index(self, d):
    d = J.DatumInContext.wrap(d)
    if not isinstance(d.value, (list, str)): return []
    try: return strict[0](self, d)
    except IndexError: return []
def slice_(self, d):
    d = J.DatumInContext.wrap(d)
    if isinstance(d.value, list): return strict[1](self, d)
    return strict[1](self, J.DatumInContext([d.value], path=d.path, context=d.context))
def parent(self, d):
    d = J.DatumInContext.wrap(d)
    return [] if d.context is None else [d.context]
lenient = index, slice_, parent
def find(path, doc, functions):
    J.Index.find, J.Slice.find, J.Parent.find = functions
    return [m.value for m in path.find(doc)]
out = []
for q in json.load(sys.stdin):
    try: path = P.parse(lexer=IteratorToTokenStream(tokens(q["path"])))
    except Exception as e:
        out.append({"error": repr(e)}); continue
    if path is None:
        out.append({"error": "empty"}); continue
    a = {"l": find(path, q["doc"], lenient)}
    try: a["r"] = find(path, q["doc"], strict)
    except Exception: pass
    out.append(a)
json.dump(out, sys.stdout)
`

type pathQuestion struct {
	Path string          `json:"path"`
	Doc  json.RawMessage `json:"doc"`
}

type pathAnswer struct {
	Error string
	R, L  []json.RawMessage
}

func TestPeerPythonJSONPath(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	var questions []pathQuestion
	for range 12000 {
		path := g.path(3)
		if g.IntN(4) == 0 {
			path = g.soup()
		}
		questions = append(questions, pathQuestion{path, json.RawMessage(g.document(4))})
	}
	answers := python[pathQuestion, pathAnswer](t, "jsonpath_rw", "python3-jsonpath-rw", jsonpathPeer, questions)
	var accepted, found int
	for i, q := range questions {
		a := answers[i]
		path := expr.CompilePath(q.Path)
		if err := expr.StrictPath(q.Path); (err != nil) != (a.Error != "") {
			t.Errorf("%q: error %v, the reference has %q", q.Path, err, a.Error)
			continue
		}
		if a.Error != "" {
			continue
		}
		accepted++
		want := a.R
		if want == nil || strings.Contains(q.Path, "parent") {
			want = a.L
		}
		if len(want) > 0 {
			found++
		}
		checkResults(t, path, parse(t, string(q.Doc)), q, want)
	}
	t.Logf("%d cases: %d paths accepted by both, %d with results", len(questions), accepted, found)
	if accepted < 7000 || found < 1200 {
		t.Errorf("only %d paths were accepted, and %d found something", accepted, found)
	}
}

func checkResults(t *testing.T, path *expr.Path, doc *fastjson.Value, q pathQuestion, want []json.RawMessage) {
	t.Helper()
	got := []json.RawMessage{}
	path.Each(doc, func(v *fastjson.Value) bool {
		got = append(got, v.MarshalTo(nil))
		return true
	})
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(append([]json.RawMessage{}, want...))
	if !sameJSON(t, a, b) {
		t.Errorf("%q in %s: got %s, want %s", q.Path, q.Doc, a, b)
	}
}

// A generator makes random documents and expressions.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) key() string { return g.pick("a", "b", "c", "d e", "темп", "1", "where", "a-b") }

func (g generator) document(depth int) string {
	n := g.IntN(7)
	switch {
	case depth > 2:
		n = []int{0, 1, 6}[g.IntN(3)]
	case depth == 0:
		n = 2 + g.IntN(5)
	}
	switch n {
	case 0, 1:
		if g.IntN(2) == 0 {
			return g.list(depth)
		}
		var members []string
		for _, key := range g.Perm(5)[:1+g.IntN(4)] {
			members = append(members, fmt.Sprintf("%q:%s", []string{"a", "b", "c", "d e", "темп"}[key], g.document(depth-1)))
		}
		return "{" + strings.Join(members, ",") + "}"
	case 2:
		return fmt.Sprint(g.IntN(100) - 50)
	case 3:
		return g.pick("0.5", "-1.25", "2.75")
	case 4:
		return g.pick(`""`, `"x"`, `"abc"`, `"їжак"`)
	case 5:
		return g.pick("true", "false", "null")
	default:
		if depth > 0 {
			return "{" + `"a":` + g.document(depth-1) + `,"b":` + g.document(depth-1) + "}"
		}
		return "{}"
	}
}

func (g generator) list(depth int) string {
	var items []string
	for range g.IntN(4) {
		items = append(items, g.document(depth-1))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func (g generator) name() string {
	switch key := g.key(); g.IntN(4) {
	case 0:
		return "'" + key + "'"
	case 1:
		return `"` + key + `"`
	default:
		return g.pick("a", "b", "c", "a-b", "_x")
	}
}

func (g generator) number() string { return g.pick("0", "1", "2", "-1", "-2", "9") }

func (g generator) path(depth int) string {
	if depth == 0 || g.IntN(5) == 0 {
		switch g.IntN(8) {
		case 0:
			return "$"
		case 1:
			return "*"
		case 2:
			return g.pick("`this`", "`parent`")
		case 3:
			return g.name() + "," + g.name()
		default:
			return g.name()
		}
	}
	left := g.path(depth - 1)
	switch g.IntN(12) {
	case 0, 1, 2:
		return left + "." + g.path(depth-1)
	case 3:
		return left + ".." + g.path(depth-1)
	case 4:
		return left + "|" + g.path(depth-1)
	case 5:
		return left + "\twhere\t" + g.path(depth-1)
	case 6:
		return left + "[" + g.number() + "]"
	case 7:
		return left + "[" + g.pick("", g.number()) + ":" + g.pick("", g.number()) + "]"
	case 8:
		return left + "[*]"
	case 9:
		return left + "[" + g.name() + g.pick("", ","+g.name()) + "]"
	case 10:
		return "(" + left + ")"
	default:
		return "$." + left
	}
}

// soup returns tokens in any order.
func (g generator) soup() string {
	var b strings.Builder
	for range 1 + g.IntN(6) {
		b.WriteString(g.pick("a", "b", ".", "..", "[", "]", "*", "$", "1", "-1", ":", ",", "|", "&", "where", "'q r'", "`parent`", "`x`",
			"(", ")", "?", "'", `\`, "@", "\t", "{", "/"))
	}
	return b.String()
}
