package expr

import (
	"math"
	"slices"

	"github.com/valyala/fastjson"
)

// Fields finds the values of paths in one pass over a document, without making a
// tree of it, which is most of the work where a message has many members. It is for
// paths that consist of names, such as ${a.b}; for others there is [Path.First],
// which finds the same.
//
// The zero Fields finds nothing. Once everything is added it is safe for concurrent
// use.
type Fields struct {
	top   members
	slots int
}

// members are those members of an object that are looked for.
type members struct {
	list  []field
	first [hashes]uint16 // by hash, the number of the first of list, from 1
}

type field struct {
	name string
	slot int
	next uint16   // of the same hash
	sub  *members // nil: the value counts
}

const hashes = 64

// hash is cheap, and differs for most names.
func hash[T string | []byte](name T) int {
	if len(name) == 0 {
		return 0
	}
	return (len(name) + 7*int(name[0]) + 13*int(name[len(name)-1])) % hashes
}

// A Field is a template whose placeholders are found by a [Fields].
type Field struct {
	parts []fieldPart
}

// A fieldPart is a literal, or a path.
type fieldPart struct {
	literal string
	path    fieldPath
	isPath  bool
}

// A fieldPath is a path as the slots where its value is: that of the top-level key
// of its text goes before that at its end.
type fieldPath struct{ key, end int }

// AddTemplate adds the placeholders of t. It reports false for a template with a
// path that has more than names.
func (f *Fields) AddTemplate(t *Template) (*Field, bool) {
	x := new(Field)
	for i := range t.parts {
		p := &t.parts[i]
		if p.path == nil {
			x.parts = append(x.parts, fieldPart{literal: p.literal})
			continue
		}
		path, ok := f.add(p.path)
		if !ok {
			return nil, false
		}
		x.parts = append(x.parts, fieldPart{path: path, isPath: true})
	}
	return x, true
}

func (f *Fields) add(p *Path) (fieldPath, bool) {
	if len(p.steps) == 0 || p.word != p.text {
		return fieldPath{}, false
	}
	for i := range p.steps {
		if p.steps[i].kind != member {
			return fieldPath{}, false
		}
	}
	at := &f.top
	var end *field
	for i := range p.steps {
		if end != nil && end.sub == nil {
			end.sub = new(members)
		}
		if end != nil {
			at = end.sub
		}
		if end = f.member(at, p.steps[i].name); end == nil {
			return fieldPath{}, false
		}
	}
	path := fieldPath{end: end.slot}
	key := f.member(&f.top, p.text)
	if key == nil {
		return path, false
	}
	path.key = key.slot
	return path, true
}

// member returns the member called name, which is added if it is new, or nil if
// there are too many.
func (f *Fields) member(m *members, name string) *field {
	if x := m.find([]byte(name)); x != nil {
		return x
	}
	if len(m.list) == math.MaxUint16 {
		return nil
	}
	h := hash(name)
	m.list = append(m.list, field{name: name, slot: f.slots, next: m.first[h]})
	m.first[h] = uint16(len(m.list))
	f.slots++
	return &m.list[len(m.list)-1]
}

// find returns the member called name, or nil.
func (m *members) find(name []byte) *field {
	for n := m.first[hash(name)]; n != 0; {
		x := &m.list[n-1]
		if x.name == string(name) {
			return x
		}
		n = x.next
	}
	return nil
}

// Found is what a [Fields] has found in a document. It is not safe for concurrent
// use, and is reused for the next document.
type Found struct {
	doc    []byte
	tokens []token // by slot
	parser fastjson.Parser
}

// Scan looks through doc, which is an object. The results are valid as long as doc
// is not changed. It reports false if doc has to be parsed instead: because it is
// not an object of JSON as RFC 8259 defines it, for a parser to judge, is nested
// deeper than 100 levels, or has a name with an escape. That the text is valid UTF-8
// is not checked.
func (f *Fields) Scan(doc []byte, r *Found) bool {
	r.doc = doc
	r.tokens = slices.Grow(r.tokens[:0], f.slots)[:f.slots]
	clear(r.tokens)
	i := skipBlanks(doc, 0)
	if i == len(doc) || doc[i] != '{' {
		return false
	}
	i = r.object(i+1, &f.top, maxScan)
	return i >= 0 && skipBlanks(doc, i) == len(doc)
}

func (r *Found) token(p fieldPath) token {
	if t := r.tokens[p.key]; t.kind != noToken {
		return t
	}
	return r.tokens[p.end]
}

// value returns the value at p, or nil. It is valid until the next call.
func (r *Found) value(p fieldPath) *fastjson.Value {
	t := r.token(p)
	if t.kind == noToken {
		return nil
	}
	v, err := r.parser.ParseBytes(r.doc[t.from:t.to])
	if err != nil {
		return nil
	}
	return v
}
