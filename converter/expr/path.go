package expr

import (
	"strings"

	"github.com/valyala/fastjson"
)

// A Path finds values in a JSON document.
type Path struct {
	text  string
	word  string // the first word of text, which the reference looks up too
	steps []step // nil: text is not a path, only a key
	plain bool   // members and elements only: a path that finds one value at most
	err   error  // why text is not a path
}

// CompilePath compiles the text between the braces of a placeholder. A text
// that is no path is looked up as a key, so that there is no error to report;
// [Path.Err] says why it is none.
func CompilePath(text string) *Path {
	p := &Path{text: strings.TrimSpace(text)}
	if words := strings.Fields(p.text); len(words) > 0 {
		p.word = words[0]
	}
	p.steps, p.err = parsePath(p.text, false)
	for _, text := range [...]string{p.text, quoteBlanks(p.text)} {
		if p.err == nil {
			break
		}
		if steps, err := parsePath(text, true); err == nil {
			p.steps, p.err = steps, nil
		}
	}
	if len(p.steps) > 0 && p.steps[0].kind == top { // a search begins there
		p.steps = p.steps[1:]
	}
	p.plain = true
	for i := range p.steps {
		if k := p.steps[i].kind; k != member && k != index {
			p.plain = false
		}
	}
	return p
}

// quoteBlanks quotes the segments of text that have blanks in them, as in
// ${room 1.sensor 2}, unless it has quotes already.
func quoteBlanks(text string) string {
	if !strings.Contains(text, " ") || strings.ContainsAny(text, "\"'`") {
		return text
	}
	segments := strings.Split(text, ".")
	for i, s := range segments {
		if strings.Contains(s, " ") {
			segments[i] = `"` + s + `"`
		}
	}
	return strings.Join(segments, ".")
}

// String returns the text of p.
func (p *Path) String() string { return p.text }

// Err returns a [*SyntaxError] if the text of p is not a path. Such a text is
// still found if it is, as it stands, a key of the document's top level.
func (p *Path) Err() error { return p.err }

// mistaken reports whether the text of p is not a path, and is hardly meant as a
// key: it has marks that only paths have.
func (p *Path) mistaken() bool {
	return p.err != nil && (strings.ContainsAny(p.text, "[]\"'`|&*") || strings.Contains(p.text, "..") || p.text[0] == '$')
}

// Name returns the key that p names if it is a single key.
func (p *Path) Name() (string, bool) {
	if len(p.steps) == 1 && p.steps[0].kind == member {
		return p.steps[0].name, true
	}
	return "", false
}

// First returns the first value in root that p finds, or nil. It may be a JSON
// null. It is valid as long as root is. A key of the top level that is the text
// of p goes before everything else.
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
		if v := p.first(root); v != nil {
			return v
		}
	}
	if object != nil && p.word != p.text {
		return object.Get(p.word)
	}
	return nil
}

func (p *Path) first(root *fastjson.Value) *fastjson.Value {
	if !p.plain {
		s := search{visits: maxVisits}
		s.run(p.steps, nil, &datum{value: root})
		return s.found
	}
	v := root
	for i := range p.steps {
		if s := &p.steps[i]; s.kind == index {
			v = element(v, s.from)
		} else {
			v = memberOf(v, s.name)
		}
		if v == nil {
			return nil
		}
	}
	return v
}

// Each calls yield for every value in root that p finds, in the order of the
// dialect, until yield returns false. Unlike [Path.First] it takes p as a path
// only, not as a key of the top level. It stops by itself after 100,000 values
// that it had to look at.
func (p *Path) Each(root *fastjson.Value, yield func(*fastjson.Value) bool) {
	if root == nil || p.steps == nil {
		return
	}
	s := search{visits: maxVisits, each: yield}
	s.run(p.steps, nil, &datum{value: root})
}

func objectOf(v *fastjson.Value) *fastjson.Object {
	if v.Type() != fastjson.TypeObject {
		return nil
	}
	return v.GetObject()
}

func memberOf(v *fastjson.Value, name string) *fastjson.Value {
	if o := objectOf(v); o != nil {
		return o.Get(name)
	}
	return nil
}
