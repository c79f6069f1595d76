package conf

import (
	"maps"
	"slices"
	"time"
)

// Kind is what a key is expected to hold.
type Kind uint8

// The kinds of keys.
const (
	Any Kind = iota
	Text
	Flag
	Int
	Float
	Time
	Dict
	List
)

// A Key describes a key as the code that reads it does. Schemas are made of it.
type Key struct {
	Path      string // with "[]" for each index
	Kind      Kind
	Default   string        // as text; "" for none
	Low, High float64       // of Int and Float
	Unit      time.Duration // of Time
	Choices   []string      // of Text
	Required  bool
	Unused    bool // it is known and has no effect
}

// note keeps what was asked for. Of several times the one that says most counts.
func (r *Reader) note(path string, k Key) {
	k.Path = pattern(path)
	old := r.keys[k.Path]
	if old == nil || k.says() >= old.says() {
		r.keys[k.Path] = &k
	}
}

func (k *Key) says() int {
	switch {
	case k.Kind == Any:
		return 0
	case k.Kind == Text && k.Choices == nil && !k.Required:
		return 1
	default:
		return 2
	}
}

// Keys returns the keys that were asked for, whether they are there or not, sorted
// by path.
func (r *Reader) Keys() []Key {
	list := make([]Key, 0, len(r.keys))
	for _, path := range slices.Sorted(maps.Keys(r.keys)) {
		list = append(list, *r.keys[path])
	}
	return list
}
