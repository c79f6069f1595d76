package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// A Path finds a value in a JSON document.
type Path struct {
	text  string
	word  string // the first word of text, which the reference looks up too
	steps []step // nil: text is not a path, only a key
}

type stepKind uint8

const (
	member  stepKind = iota // .name
	index                   // [n]
	slice                   // [from:to] and [*]
	every                   // .*
	descend                 // ..
)

type step struct {
	kind     stepKind
	name     string
	from, to int // of a slice; to is open if it is openEnd
}

const openEnd = int(^uint(0) >> 1)

// maxVisits bounds the values that one search may look at, so that a path with
// several ".." cannot hold up a converter.
const maxVisits = 100_000

// CompilePath compiles the text between the braces of a placeholder. A text
// that is no path is looked up as a key, so that there is no error to report.
func CompilePath(text string) *Path {
	p := &Path{text: strings.TrimSpace(text)}
	if words := strings.Fields(p.text); len(words) > 0 {
		p.word = words[0]
	}
	if steps, ok := parseSteps(p.text); ok {
		p.steps = steps
	}
	return p
}

// String returns the text of p.
func (p *Path) String() string { return p.text }

// Name returns the key that p names if it is a single key.
func (p *Path) Name() (string, bool) {
	if len(p.steps) == 1 && p.steps[0].kind == member {
		return p.steps[0].name, true
	}
	return "", false
}

// First returns the first value in root that p finds, or nil. It may be a JSON
// null. It is valid as long as root is.
func (p *Path) First(root *fastjson.Value) *fastjson.Value {
	if root == nil || p.text == "" {
		return nil
	}
	object := objectOf(root)
	if object != nil {
		if v := object.Get(p.text); v != nil {
			return v
		}
	}
	if name, single := p.Name(); p.steps != nil && (!single || name != p.text) {
		visits := maxVisits
		if v := first(root, p.steps, &visits); v != nil {
			return v
		}
	}
	if object != nil && p.word != p.text {
		return object.Get(p.word)
	}
	return nil
}

func objectOf(v *fastjson.Value) *fastjson.Object {
	if v.Type() != fastjson.TypeObject {
		return nil
	}
	return v.GetObject()
}

func first(v *fastjson.Value, steps []step, visits *int) *fastjson.Value {
	if *visits--; *visits < 0 {
		return nil
	}
	if len(steps) == 0 {
		return v
	}
	s, rest := &steps[0], steps[1:]
	switch s.kind {
	case member:
		if o := objectOf(v); o != nil {
			if c := o.Get(s.name); c != nil {
				return first(c, rest, visits)
			}
		}
		return nil
	case index:
		if c := element(v, s.from); c != nil {
			return first(c, rest, visits)
		}
		return nil
	case slice:
		return firstInSlice(v, s, rest, visits)
	case every:
		return firstInMembers(v, rest, visits)
	default:
		return firstBelow(v, steps, visits)
	}
}

// element returns v[i]. As in the reference, a text has elements too.
func element(v *fastjson.Value, i int) *fastjson.Value {
	switch v.Type() {
	case fastjson.TypeArray:
		items := v.GetArray()
		if i < 0 {
			i += len(items)
		}
		if i >= 0 && i < len(items) {
			return items[i]
		}
	case fastjson.TypeString:
		if c, ok := character(v.GetStringBytes(), i); ok {
			return new(fastjson.Arena).NewString(c)
		}
	default:
	}
	return nil
}

func character(text []byte, i int) (string, bool) {
	n := utf8.RuneCount(text)
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return "", false
	}
	for ; i > 0; i-- {
		_, size := utf8.DecodeRune(text)
		text = text[size:]
	}
	r, _ := utf8.DecodeRune(text)
	return string(r), true
}

func firstInSlice(v *fastjson.Value, s *step, rest []step, visits *int) *fastjson.Value {
	if v.Type() != fastjson.TypeArray { // counts as a list of one
		if s.from > 0 || s.to == 0 {
			return nil
		}
		return first(v, rest, visits)
	}
	items := v.GetArray()
	from, to := bounds(s.from, s.to, len(items))
	for _, item := range items[from:to] {
		if r := first(item, rest, visits); r != nil {
			return r
		}
	}
	return nil
}

// bounds resolves the ends of a slice of n elements as Python does: negative
// ends count from the back, and ends outside are moved inside.
func bounds(from, to, n int) (lo, hi int) {
	if from < 0 {
		from += n
	}
	if to < 0 {
		to += n
	}
	lo = min(max(from, 0), n)
	return lo, max(lo, min(max(to, 0), n))
}

func firstInMembers(v *fastjson.Value, rest []step, visits *int) (found *fastjson.Value) {
	o := objectOf(v)
	if o == nil {
		return nil
	}
	o.Visit(func(_ []byte, c *fastjson.Value) {
		if found == nil {
			found = first(c, rest, visits)
		}
	})
	return found
}

func firstBelow(v *fastjson.Value, steps []step, visits *int) (found *fastjson.Value) {
	if found = first(v, steps[1:], visits); found != nil {
		return found
	}
	switch v.Type() {
	case fastjson.TypeArray:
		for _, item := range v.GetArray() {
			if found = first(item, steps, visits); found != nil {
				return found
			}
		}
	case fastjson.TypeObject:
		return firstInMembers(v, steps, visits)
	default:
	}
	return nil
}

// parseSteps parses a path. It reports false if text is none.
func parseSteps(text string) ([]step, bool) {
	if text == "" {
		return nil, false
	}
	steps := []step{}
	rest, rooted := strings.CutPrefix(text, "$")
	if rooted && rest != "" && rest[0] != '.' && rest[0] != '[' {
		return nil, false
	}
	start := !rooted
	for rest != "" {
		s, tail, ok := parseStep(rest, start)
		if !ok {
			return nil, false
		}
		if s.kind == descend && tail == "" {
			return nil, false
		}
		start = s.kind == descend
		steps, rest = append(steps, s), tail
	}
	return steps, true
}

// parseStep parses the first step of text. At the start of a path, and after
// "..", a name needs no dot.
func parseStep(text string, start bool) (s step, rest string, ok bool) {
	switch {
	case strings.HasPrefix(text, ".."):
		return step{kind: descend}, text[2:], true
	case text[0] == '[':
		return parseBracket(text)
	case text[0] == '.':
		text = text[1:]
		if strings.HasPrefix(text, "[") {
			return parseBracket(text)
		}
	case !start:
		return step{}, "", false
	}
	if text == "" {
		return step{}, "", false
	}
	if text[0] == '"' || text[0] == '\'' {
		name, rest, ok := quoted(text)
		return step{kind: member, name: name}, rest, ok
	}
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	name, rest := text[:end], text[end:]
	if name == "*" {
		return step{kind: every}, rest, true
	}
	return step{kind: member, name: name}, rest, plain(name)
}

func parseBracket(text string) (s step, rest string, ok bool) {
	inner := text[1:]
	if inner != "" && (inner[0] == '"' || inner[0] == '\'') {
		name, rest, ok := quoted(inner)
		if !ok || !strings.HasPrefix(rest, "]") {
			return step{}, "", false
		}
		return step{kind: member, name: name}, rest[1:], true
	}
	inner, rest, ok = strings.Cut(inner, "]")
	inner = strings.TrimSpace(inner)
	if !ok || inner == "" {
		return step{}, "", false
	}
	if inner == "*" {
		return step{kind: slice, to: openEnd}, rest, true
	}
	if n, err := strconv.Atoi(inner); err == nil {
		return step{kind: index, from: n}, rest, true
	}
	if from, to, found := strings.Cut(inner, ":"); found {
		s, ok := parseSlice(from, to)
		return s, rest, ok
	}
	return step{kind: member, name: inner}, rest, plain(inner)
}

func parseSlice(from, to string) (s step, ok bool) {
	s = step{kind: slice, to: openEnd}
	var err error
	if from != "" {
		if s.from, err = strconv.Atoi(from); err != nil {
			return s, false
		}
	}
	if to != "" {
		if s.to, err = strconv.Atoi(to); err != nil {
			return s, false
		}
	}
	return s, true
}

func quoted(text string) (name, rest string, ok bool) {
	name, rest, ok = strings.Cut(text[1:], text[:1])
	return name, rest, ok && name != ""
}

// plain reports whether name can stand in a path without quotes: it has none of
// the dialect's operators.
func plain(name string) bool { return name != "" && !strings.ContainsAny(name, "*,|&()?`'\"[]") }
