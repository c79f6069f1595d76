package expr

import (
	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Field converts what the template makes of what was found, as [Scratch.Template]
// does.
func (s *Scratch) Field(f *Field, r *Found, t Type) (telemetry.Value, Outcome) {
	if len(f.parts) == 1 && f.parts[0].isPath {
		return s.fieldValue(f.parts[0].path, r, t)
	}
	text, complete := s.fill(f, r)
	switch {
	case s.Mode == Reference:
		return s.referenceText(text, t)
	case !complete:
		return telemetry.Value{}, Missing
	default:
		return s.Text(text, t)
	}
}

// FieldString returns what the template makes of what was found, as
// [Scratch.String] does.
func (s *Scratch) FieldString(f *Field, r *Found) (string, bool) {
	text, complete := s.fill(f, r)
	if !complete {
		return "", false
	}
	return s.Strings.String(text), true
}

func (s *Scratch) fieldValue(p fieldPath, r *Found, t Type) (telemetry.Value, Outcome) {
	tok := r.token(p)
	switch {
	case tok.kind == noToken || tok.kind == nullToken:
		return telemetry.Value{}, Missing
	case s.Mode == Reference || tok.kind == parsedToken:
		return s.Value(r.value(p), t)
	}
	switch tok.kind {
	case numberToken:
		return s.numeral(r.doc[tok.from:tok.to], t)
	case textToken:
		return s.Text(r.doc[tok.from+1:tok.to-1], t)
	default:
		return s.boolean(tok.kind == trueToken, t)
	}
}

// fill is [Scratch.Fill] of a Field.
func (s *Scratch) fill(f *Field, r *Found) (text []byte, complete bool) {
	s.buf, complete = s.buf[:0], true
	for i := range f.parts {
		p := &f.parts[i]
		if !p.isPath {
			s.buf = append(s.buf, p.literal...)
			continue
		}
		tok := r.token(p.path)
		absent := tok.kind == noToken || tok.kind == nullToken
		complete = complete && !absent
		switch {
		case s.Mode == Reference:
			s.buf = AppendPythonText(s.buf, r.value(p.path))
		case absent:
			return s.buf, false
		case tok.kind == textToken:
			s.buf = append(s.buf, r.doc[tok.from+1:tok.to-1]...)
		default:
			s.buf = AppendText(s.buf, r.value(p.path))
		}
	}
	return s.buf, complete
}

// A FieldTime is a [TimeField] that is found by a [Fields].
type FieldTime struct {
	field         *TimeField
	path          fieldPath
	ts, timestamp fieldPath
}

// AddTime adds the path of t. It reports false for a path that has more than names.
func (f *Fields) AddTime(t *TimeField) (*FieldTime, bool) {
	x := &FieldTime{field: t}
	if t.path != nil {
		var ok bool
		if x.path, ok = f.add(t.path); !ok {
			return nil, false
		}
	}
	for key, path := range map[string]*fieldPath{"ts": &x.ts, "timestamp": &x.timestamp} {
		m := f.member(&f.top, key)
		if m == nil {
			return nil, false
		}
		*path = fieldPath{m.slot, m.slot}
	}
	return x, true
}

// Read is [TimeField.Read] with [Recommended]. It reports !ok if that has to look at
// the whole document, because nothing at the path can be read.
func (x *FieldTime) Read(r *Found) (ms int64, unread, ok bool) {
	if x.field.path != nil {
		ms, ok = x.field.format.Value(r.value(x.path))
		return ms, false, ok
	}
	for _, p := range [...]fieldPath{x.ts, x.timestamp} {
		if t := r.token(p); t.kind == numberToken {
			if n, whole := integer(r.doc[t.from:t.to]); whole {
				return n, unread, true
			}
		}
		v := r.value(p)
		if v == nil || v.Type() == fastjson.TypeNull {
			continue
		}
		if ms, ok = milliseconds(v); ok {
			return ms, unread, true
		}
		unread = true
	}
	return 0, unread, true
}
