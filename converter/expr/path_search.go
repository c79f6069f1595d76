package expr

import (
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

type stepKind uint8

const (
	member  stepKind = iota // .name
	index                   // [n]
	fields                  // .a,b
	slice                   // [from:to] and [*]
	every                   // .*
	descend                 // ..sub
	where                   // where sub
	union                   // sub|other
	parent                  // `parent`
	top                     // $
)

// A step leads from one value to others. A path is a sequence of steps: each is
// applied to every result of the one before it, in order.
type step struct {
	kind       stepKind
	name       string
	names      []string
	from, to   int // of a slice; to is open if it is openEnd
	sub, other []step
}

const openEnd = int(^uint(0) >> 1)

// maxVisits bounds the values that one search may look at, so that a path with
// several ".." cannot hold up a converter.
const maxVisits = 100_000

// A datum is a value together with the way that led to it.
type datum struct {
	value *fastjson.Value
	up    *datum // nil: the top
	alone bool   // value was taken for a list of one, which stands between up and it
}

// parent returns what d is in.
func (d *datum) parent() (datum, bool) {
	if d.alone {
		arena := new(fastjson.Arena)
		list := arena.NewArray()
		list.SetArrayItem(0, d.value)
		if d.up == nil {
			return datum{value: list}, true
		}
		return datum{value: list, up: d.up}, true
	}
	if d.up == nil {
		return datum{}, false
	}
	return *d.up, true
}

// The steps that follow those at hand.
type rest struct {
	steps []step
	next  *rest
}

type search struct {
	visits int
	each   func(*fastjson.Value) bool // nil: the first value is enough
	found  *fastjson.Value
}

func (s *search) accept(v *fastjson.Value) (stop bool) {
	s.found = v
	return s.each == nil || !s.each(v)
}

// run applies steps, then those of next, to d. It returns true to end the search.
func (s *search) run(steps []step, next *rest, d *datum) (stop bool) {
	if s.visits--; s.visits < 0 {
		return true
	}
	for len(steps) == 0 {
		if next == nil {
			return s.accept(d.value)
		}
		steps, next = next.steps, next.next
	}
	st, after := &steps[0], steps[1:]
	switch st.kind {
	case member:
		c := memberOf(d.value, st.name)
		return c != nil && s.run(after, next, &datum{value: c, up: d})
	case index:
		c := element(d.value, st.from)
		return c != nil && s.run(after, next, &datum{value: c, up: d})
	case fields:
		for _, name := range st.names {
			if c := memberOf(d.value, name); c != nil && s.run(after, next, &datum{value: c, up: d}) {
				return true
			}
		}
		return false
	case slice:
		return s.slice(st, after, next, d)
	case every:
		return s.members(after, next, d)
	default:
		return s.combine(st, after, next, d)
	}
}

func (s *search) combine(st *step, after []step, next *rest, d *datum) (stop bool) {
	switch st.kind {
	case descend:
		return s.descend(st, &rest{steps: after, next: next}, d)
	case where:
		q := search{visits: s.visits}
		q.run(st.sub, nil, d)
		s.visits = q.visits
		return q.found != nil && s.run(after, next, d)
	case union:
		all := rest{steps: after, next: next}
		return s.run(st.sub, &all, d) || s.run(st.other, &all, d)
	case parent:
		p, ok := d.parent()
		return ok && s.run(after, next, &p)
	default:
		t := *d
		for p, ok := t.parent(); ok; p, ok = t.parent() {
			t = p
		}
		return s.run(after, next, &t)
	}
}

// descend applies the sub-path of st to d and to everything below it.
func (s *search) descend(st *step, next *rest, d *datum) (stop bool) {
	if s.run(st.sub, next, d) {
		return true
	}
	switch d.value.Type() {
	case fastjson.TypeArray:
		for _, item := range d.value.GetArray() {
			if s.descend(st, next, &datum{value: item, up: d}) {
				return true
			}
		}
	case fastjson.TypeObject:
		d.value.GetObject().Visit(func(_ []byte, c *fastjson.Value) {
			stop = stop || s.descend(st, next, &datum{value: c, up: d})
		})
	default:
	}
	return stop
}

func (s *search) members(after []step, next *rest, d *datum) (stop bool) {
	o := objectOf(d.value)
	if o == nil {
		return false
	}
	o.Visit(func(_ []byte, c *fastjson.Value) {
		stop = stop || s.run(after, next, &datum{value: c, up: d})
	})
	return stop
}

// slice takes what is not an array for a list of one.
func (s *search) slice(st *step, after []step, next *rest, d *datum) (stop bool) {
	if d.value.Type() != fastjson.TypeArray {
		from, to := bounds(st.from, st.to, 1)
		return from < to && s.run(after, next, &datum{value: d.value, up: d.up, alone: true})
	}
	items := d.value.GetArray()
	from, to := bounds(st.from, st.to, len(items))
	for _, item := range items[from:to] {
		if s.run(after, next, &datum{value: item, up: d}) {
			return true
		}
	}
	return false
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
