package conf

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Kind is what a key is expected to hold.
type Kind uint8

// The kinds of keys. Numbers, times and flags may be written as text, and a Text as
// a number or a flag. A Texts may be one text, and lists may be an empty object.
const (
	Any     Kind = iota
	Text         // of Choices, if there are any
	Flag         // true or false
	Int          // a whole number
	Float        // a number
	Time         // a number of Units
	Dict         // an object
	List         // a list of anything
	Objects      // a list of objects
	Texts        // a list of texts
)

// A Key describes a key as the code that reads it does. Schemas are made of it.
type Key struct {
	// Path has "[]" for each index, and "*" for each key that is a name, see
	// [Object.Members].
	Path      string
	Kind      Kind
	Default   string        // as text; "" for none
	Low, High float64       // of Int and Float
	Unit      time.Duration // of Time
	Choices   []string      // of Text
	Required  bool          // in every object at that place
	Unused    bool          // it is known and has no effect
}

// A use is how a key was read.
type use struct {
	kinds    []Key // one of a kind
	required int   // times
}

// uses are the keys that were read, and how often the objects that they belong to
// were there.
type uses struct {
	keys    map[string]*use
	objects map[string]int
}

func newUses() *uses { return &uses{keys: make(map[string]*use), objects: make(map[string]int)} }

func (u *uses) at(path string) *use {
	if u.keys[path] == nil {
		u.keys[path] = new(use)
	}
	return u.keys[path]
}

func (u *use) note(k Key) {
	i := slices.IndexFunc(u.kinds, func(old Key) bool { return old.Kind == k.Kind })
	if i < 0 {
		u.kinds = append(u.kinds, k)
		return
	}
	old := &u.kinds[i]
	old.Default = cmp.Or(old.Default, k.Default)
	old.Low, old.High = min(old.Low, k.Low), max(old.High, k.High)
	for _, c := range k.Choices {
		if !slices.Contains(old.Choices, c) {
			old.Choices = append(slices.Clone(old.Choices), c)
		}
	}
	old.Unused = old.Unused && k.Unused
}

// Keys returns the keys that were asked for, whether they are there or not, sorted
// by path. A key that was read in several ways is there once for each of them, but as
// Any only if there is no other.
func (r *Reader) Keys() []Key {
	var list []Key
	for _, path := range slices.Sorted(maps.Keys(r.uses.keys)) {
		u := r.uses.keys[path]
		kinds := slices.Clone(u.kinds)
		if len(kinds) > 1 {
			kinds = slices.DeleteFunc(kinds, func(k Key) bool { return k.Kind == Any })
		}
		slices.SortFunc(kinds, func(a, b Key) int { return cmp.Compare(a.Kind, b.Kind) })
		for _, k := range kinds {
			k.Path, k.Required = path, u.required > 0 && u.required >= r.uses.objects[parent(path)]
			list = append(list, k)
		}
	}
	return list
}

// parent returns the path of the object that the key at path belongs to.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[:i]
		}
	}
	return ""
}
