package expr

import "github.com/valyala/fastjson"

// A TimeField finds the time of a message. It is safe for concurrent use.
type TimeField struct {
	path   *Path  // nil: no field is configured
	last   string // the last name of the path, "" if it has none
	format TimeFormat
}

// CompileTimeField compiles the name of the field that holds the time: a path,
// with or without ${}, or "" for the usual fields.
func CompileTimeField(text string, format TimeFormat) *TimeField {
	f := &TimeField{format: format}
	if text == "" {
		return f
	}
	if f.path = Compile(text).Path(); f.path == nil {
		f.path = CompilePath(text)
	}
	if n := len(f.path.steps); n > 0 && f.path.steps[n-1].kind == member {
		f.last = f.path.steps[n-1].name
	}
	return f
}

// Find returns the time of the message root in Unix milliseconds: that of the
// configured path, as [TimeFormat.Value] reads it; or else that of the first
// member with the path's last name, in nested objects, depth first; or else the
// message's own, see [MessageTime]. Of an array the first element counts. It
// reports false if there is none: then the time of reception is the time.
func (f *TimeField) Find(root *fastjson.Value) (ms int64, ok bool) {
	ms, ok, _ = f.search(root, Recommended)
	return ms, ok
}

// Read is Find for those who count what cannot be read: the time is zero if there
// is none, and unread reports a field that holds something else than a time. With
// [Reference] the time is found as the Python gateway does: a text that is no
// number, in the first member with the path's last name wherever it is nested; or
// else the message's own.
func (f *TimeField) Read(root *fastjson.Value, mode Mode) (ms int64, unread bool) {
	ms, _, unread = f.search(root, mode)
	return ms, unread
}

func (f *TimeField) search(root *fastjson.Value, mode Mode) (ms int64, ok, unread bool) {
	if root == nil {
		return 0, false, false
	}
	if root.Type() == fastjson.TypeArray {
		items := root.GetArray()
		if len(items) == 0 {
			return 0, false, false
		}
		root = items[0]
	}
	if f.path != nil && mode == Reference {
		if ms, ok = f.format.text(nested(root, f.last, maxNesting)); ok {
			return ms, true, false
		}
	} else if f.path != nil {
		v := f.path.First(root)
		if ms, ok = f.format.Value(v); ok {
			return ms, true, false
		}
		unread = present(v)
		if ms, ok = f.format.Value(nested(root, f.last, maxNesting)); ok {
			return ms, true, unread
		}
	}
	ms, ok, wrong := messageTime(root)
	return ms, ok, unread || wrong
}

func present(v *fastjson.Value) bool { return v != nil && v.Type() != fastjson.TypeNull }

// text reads a time from a text that is not a number.
func (f TimeFormat) text(v *fastjson.Value) (ms int64, ok bool) {
	if v == nil || v.Type() != fastjson.TypeString {
		return 0, false
	}
	b := v.GetStringBytes()
	if _, number := parseFloat(b); number {
		return 0, false
	}
	return f.Parse(string(b))
}

// nested returns the first member called name that is not null, in v and the
// objects below it.
func nested(v *fastjson.Value, name string, depth int) (found *fastjson.Value) {
	o := objectOf(v)
	if o == nil || name == "" || depth == 0 {
		return nil
	}
	if c := o.Get(name); present(c) {
		return c
	}
	o.Visit(func(_ []byte, c *fastjson.Value) {
		if found == nil {
			found = nested(c, name, depth-1)
		}
	})
	return found
}

// MessageTime returns the member "ts" of a message, or else "timestamp", in Unix
// milliseconds. A whole number is taken as it is, also one in a text; any other
// text as [TimeFormat.Parse] reads it.
func MessageTime(root *fastjson.Value) (ms int64, ok bool) {
	ms, ok, _ = messageTime(root)
	return ms, ok
}

func messageTime(root *fastjson.Value) (ms int64, ok, unread bool) {
	for _, key := range [...]string{"ts", "timestamp"} {
		v := memberOf(root, key)
		if !present(v) {
			continue
		}
		if ms, ok = milliseconds(v); ok {
			return ms, true, unread
		}
		unread = true
	}
	return 0, false, unread
}

func milliseconds(v *fastjson.Value) (ms int64, ok bool) {
	switch v.Type() {
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		var digits [32]byte
		return parseInt(v.MarshalTo(digits[:0]))
	case fastjson.TypeString:
		b := v.GetStringBytes()
		if ms, ok = parseInt(b); ok {
			return ms, true
		}
		return TimeFormat{}.Parse(string(b))
	default:
		return 0, false
	}
}
