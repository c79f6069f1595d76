package conftest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
)

// share moves objects that are in s several times to its definitions.
func share(s *jsonschema.Schema) {
	h := &sharer{times: make(map[string]int), names: make(map[string]string), defs: make(map[string]*jsonschema.Schema)}
	h.count(s)
	h.replace(s, "")
	if len(h.defs) > 0 {
		s.Defs = h.defs
	}
}

type sharer struct {
	times map[string]int    // by the text of a schema
	names map[string]string // of its definition
	defs  map[string]*jsonschema.Schema
}

// key returns the text of s if it is worth a definition.
func key(s *jsonschema.Schema) string {
	const few = 2
	if len(s.Properties) <= few {
		return ""
	}
	doc, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(doc)
}

func (h *sharer) count(s *jsonschema.Schema) {
	for _, child := range children(s) {
		if k := key(*child.at); k != "" {
			h.times[k]++
		}
		h.count(*child.at)
	}
}

// replace replaces the schemas below s. name is the one of s.
func (h *sharer) replace(s *jsonschema.Schema, name string) {
	for _, child := range children(s) {
		old := *child.at
		childName := child.name
		if childName == "" {
			childName = name
		}
		k := key(old)
		if k == "" || h.times[k] < 2 {
			h.replace(old, childName)
		} else {
			*child.at = &jsonschema.Schema{Ref: "#/$defs/" + h.define(k, childName, old)}
		}
		child.put()
	}
}

func (h *sharer) define(k, name string, s *jsonschema.Schema) string {
	if def, ok := h.names[k]; ok {
		return def
	}
	def := name
	for n := 2; h.defs[def] != nil; n++ {
		def = name + strconv.Itoa(n)
	}
	h.names[k], h.defs[def] = def, s
	h.replace(s, name)
	return def
}

// A child is a schema within another one. put stores what is at it.
type child struct {
	name string // of the property; "" for none
	at   **jsonschema.Schema
	put  func()
}

func children(s *jsonschema.Schema) []child {
	var list []child
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		list = append(list, child{name, &p, func() { s.Properties[name] = p }})
	}
	for i := range s.AnyOf {
		list = append(list, child{"", &s.AnyOf[i], func() {}})
	}
	for _, at := range []**jsonschema.Schema{&s.Items, &s.AdditionalProperties} {
		if *at != nil {
			list = append(list, child{"", at, func() {}})
		}
	}
	return list
}
