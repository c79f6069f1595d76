package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An Object is a JSON object of the file and the path to it.
type Object struct {
	r       *Reader
	path    string
	pattern string // path without indices and names
	fields  map[string]json.RawMessage
	read    map[string]bool
}

func (r *Reader) object(path, pattern string, doc json.RawMessage) *Object {
	o := &Object{r: r, path: path, pattern: pattern, read: make(map[string]bool)}
	if len(doc) == 0 {
		return o
	}
	r.uses.objects[pattern]++
	if err := json.Unmarshal(doc, &o.fields); err != nil || o.fields == nil {
		r.Fail(path, errors.New("is not an object"))
	}
	return o
}

// Reader returns the reader of the file.
func (o *Object) Reader() *Reader { return o.r }

// At returns the path of key; that of o if key is empty.
func (o *Object) At(key string) string { return join(o.path, key) }

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// Item returns the path of an element of the list at key.
func (o *Object) Item(key string, i int) string { return fmt.Sprintf("%s[%d]", o.At(key), i) }

// Fail notes a problem with key. A nil err is none.
func (o *Object) Fail(key string, err error) { o.r.Fail(o.At(key), err) }

// Failf notes a problem with key.
func (o *Object) Failf(key, format string, args ...any) { o.Fail(key, fmt.Errorf(format, args...)) }

// Warn logs text about key, once for all elements of a list.
func (o *Object) Warn(key, text string) { o.r.warn(o.At(key), join(o.pattern, key), text) }

// Has reports whether key is there and not null. It does not count as reading it.
func (o *Object) Has(key string) bool { return o.value(key) != nil }

// Empty reports whether o has no keys.
func (o *Object) Empty() bool { return len(o.fields) == 0 }

// Keys returns the keys of o, sorted.
func (o *Object) Keys() []string { return slices.Sorted(maps.Keys(o.fields)) }

// Peek is Raw without counting as reading the key. It is for keys that are names.
func (o *Object) Peek(key string) json.RawMessage { return o.value(key) }

// Raw returns the value of key, or nil if it is absent or null.
func (o *Object) Raw(key string) json.RawMessage {
	o.note(key, Key{Kind: Any})
	return o.value(key)
}

func (o *Object) value(key string) json.RawMessage {
	raw := bytes.TrimSpace(o.fields[key])
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

// note notes that key was asked for, and for what.
func (o *Object) note(key string, k Key) {
	o.read[key] = true
	o.r.uses.at(join(o.pattern, key)).note(k)
}

// Ignore marks keys as known to others, who read them.
func (o *Object) Ignore(keys ...string) {
	for _, key := range keys {
		o.note(key, Key{Kind: Any})
	}
}

// Unused marks keys as known ones that cannot have an effect here. Those that are
// there are named in the log.
func (o *Object) Unused(keys ...string) {
	for _, key := range keys {
		o.note(key, Key{Kind: Any, Unused: true})
		if o.Has(key) {
			o.r.unused[join(o.pattern, key)] = true
		}
	}
}

// Finish names the keys that nobody has asked for in the log.
func (o *Object) Finish() {
	for key := range o.fields {
		if !o.read[key] {
			o.r.unknown[join(o.pattern, key)] = true
		}
	}
}

// Object returns the object at key, which is empty if absent.
func (o *Object) Object(key string) *Object {
	o.note(key, Key{Kind: Dict})
	return o.r.object(o.At(key), join(o.pattern, key), o.value(key))
}

// A Member is an object whose key is a name that the file's author chose.
type Member struct {
	Name string
	*Object
}

// Members returns the objects in the object at key by name, in the order of their
// names.
func (o *Object) Members(key string) []Member {
	all := o.Object(key)
	list := make([]Member, 0, len(all.fields))
	for _, name := range all.Keys() {
		list = append(list, Member{Name: name, Object: o.r.object(all.At(name), join(all.pattern, "*"), all.value(name))})
	}
	return list
}

// Elements returns the elements of the list at key. An empty object counts as an
// empty list.
func (o *Object) Elements(key string) []json.RawMessage {
	o.note(key, Key{Kind: List})
	return o.elements(key)
}

func (o *Object) elements(key string) []json.RawMessage {
	raw := o.value(key)
	if raw == nil {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil && !isEmptyObject(raw) {
		o.wrong(key, "a list")
	}
	return items
}

func isEmptyObject(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(raw, &members) == nil && len(members) == 0
}

// Objects returns the objects in the list at key.
func (o *Object) Objects(key string) []*Object {
	o.note(key, Key{Kind: Objects})
	var list []*Object
	for i, raw := range o.elements(key) {
		list = append(list, o.Element(key, i, raw))
	}
	return list
}

// Element returns raw, which is element i of the list at key, as an object. It is
// for lists that may hold other values too, see [Object.Elements].
func (o *Object) Element(key string, i int, raw json.RawMessage) *Object {
	return o.r.object(o.Item(key, i), join(o.pattern, key)+"[]", raw)
}

// Strings returns the texts in the list at key. A single text counts as a list of
// one.
func (o *Object) Strings(key string) []string {
	o.note(key, Key{Kind: Texts})
	if raw := o.value(key); raw != nil && raw[0] == '"' {
		return []string{o.text(key, "")}
	}
	var list []string
	for i, raw := range o.elements(key) {
		s, ok := text(raw)
		if !ok {
			o.r.Fail(o.Item(key, i), fmt.Errorf("%s is not text", shorten(raw)))
			continue
		}
		list = append(list, s)
	}
	return list
}

func (o *Object) wrong(key, want string) {
	o.Failf(key, "%s is not %s", shorten(o.fields[key]), want)
}

// shorten returns raw for use in a message.
func shorten(raw json.RawMessage) string {
	const most = 40
	s := strings.ToValidUTF8(string(raw), "?")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
