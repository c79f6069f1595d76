package conftest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Numbers and flags as text, as the loaders take them.
const (
	integerText = `^\s*([-+]?[0-9]+(\.0*)?([eE]\+?[0-9]+)?|0[xX][0-9a-fA-F]+)?\s*$`
	numberText  = `^\s*([-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?)?\s*$`
	flagText    = `^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])?$`
)

// longest is the longest time that a configuration can name.
const longest = 366 * 24 * time.Hour

// A builder makes schemas of keys.
type builder struct {
	byObject map[string][]conf.Key // by the path of the object that they belong to
	spelling map[string]string
}

// build returns the schema of the files that have keys.
func build(keys []conf.Key, spelling []string) *jsonschema.Schema {
	b := &builder{byObject: make(map[string][]conf.Key), spelling: make(map[string]string)}
	for _, k := range keys {
		object, _ := cut(k.Path)
		b.byObject[object] = append(b.byObject[object], k)
	}
	for _, s := range spelling {
		b.spelling[strings.ToLower(s)] = s
	}
	s := b.object("")
	s.Type = "object"
	return s
}

// cut cuts the last name off a path.
func cut(path string) (object, name string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// object returns the schema of the object at path, but for its type.
func (b *builder) object(path string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	keys := b.byObject[path]
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].Path == keys[0].Path {
			n++
		}
		_, name := cut(keys[0].Path)
		if s.Properties == nil {
			s.Properties = make(map[string]*jsonschema.Schema)
		}
		s.Properties[name] = b.property(keys[:n])
		if keys[0].Required {
			s.Required = append(s.Required, name)
		}
		keys = keys[n:]
	}
	if len(b.byObject[below(path, "*")]) > 0 {
		s.AdditionalProperties = b.object(below(path, "*"))
		s.AdditionalProperties.Types = []string{"object", "null"}
	}
	return s
}

// property returns the schema of a key that is read in several ways.
func (b *builder) property(kinds []conf.Key) *jsonschema.Schema {
	var forms []*jsonschema.Schema
	s := &jsonschema.Schema{}
	for _, k := range kinds {
		form := b.kind(k)
		if k.Kind == conf.Text && len(k.Choices) == 0 && len(kinds) > 1 {
			form.Types = []string{"string", "null"} // numbers are of another kind
		}
		forms = append(forms, branches(form)...)
		if form.Default != nil && s.Default == nil {
			s.Default = form.Default
		}
		form.Default = nil
		s.Deprecated = s.Deprecated || k.Unused
	}
	if len(forms) > 1 {
		s.AnyOf = forms
		return s
	}
	forms[0].Default, forms[0].Deprecated = s.Default, s.Deprecated
	return forms[0]
}

// kind returns the schema of a key that is read in one way.
func (b *builder) kind(k conf.Key) *jsonschema.Schema {
	switch k.Kind {
	case conf.Text:
		if len(k.Choices) > 0 {
			return b.choices(k)
		}
		s := &jsonschema.Schema{Types: []string{"string", "number", "boolean", "null"}}
		if k.Default != "" {
			s.Default = quote(k.Default)
		}
		return s
	case conf.Flag:
		return &jsonschema.Schema{Types: []string{"boolean", "string", "null"}, Pattern: flagText, Default: json.RawMessage(k.Default)}
	case conf.Int:
		return number(k, "integer", integerText)
	case conf.Float:
		return number(k, "number", numberText)
	case conf.Time:
		if def, err := time.ParseDuration(k.Default); err == nil {
			k.Default = strconv.FormatFloat(float64(def)/float64(k.Unit), 'f', -1, 64)
		}
		k.Low, k.High = 0, float64(longest)/float64(k.Unit)
		s := number(k, "number", numberText)
		s.Description = unitName(k.Unit)
		return s
	case conf.Dict:
		s := b.object(k.Path)
		s.Types = []string{"object", "null"}
		return s
	case conf.List, conf.Objects, conf.Texts:
		return b.list(k)
	default:
		return &jsonschema.Schema{}
	}
}

// list returns the schema of a list, for which an empty object can stand.
func (b *builder) list(k conf.Key) *jsonschema.Schema {
	s := &jsonschema.Schema{Types: []string{"array", "object", "null"}, MaxProperties: jsonschema.Ptr(0)}
	switch items := b.object(k.Path + "[]"); {
	case k.Kind == conf.Texts:
		s.Items = &jsonschema.Schema{Types: []string{"string", "number", "boolean", "null"}}
		s.Types = append(s.Types, "string")
	case k.Kind == conf.Objects:
		s.Items = items
		items.Type = "object"
	case items.Properties != nil:
		s.Items = items
	}
	return s
}

// number returns the schema of numbers.
func number(k conf.Key, kind, pattern string) *jsonschema.Schema {
	s := &jsonschema.Schema{Types: []string{kind, "string", "null"}, Pattern: pattern}
	const all = 1 << 62 // beyond, it is not meant as a bound
	if k.Low > -all {
		s.Minimum = &k.Low
	}
	if k.High < all {
		s.Maximum = &k.High
	}
	if def, err := strconv.ParseFloat(k.Default, 64); err == nil && def >= k.Low && def <= k.High {
		s.Default = json.RawMessage(k.Default)
	}
	return s
}

// choices returns the schema of a text that is one of several, in any case.
func (b *builder) choices(k conf.Key) *jsonschema.Schema {
	spelled := make([]string, len(k.Choices))
	for i, c := range k.Choices {
		spelled[i] = cmp.Or(b.spelling[c], c)
	}
	def := k.Default
	if def != "" {
		def = cmp.Or(b.spelling[def], def)
	}
	return OneOf(def, spelled...)
}

// OneOf returns the schema of a text that is one of choices, in any case.
func OneOf(def string, choices ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	var enum []any
	var pattern strings.Builder
	pattern.WriteString(`^\s*(`)
	for i, c := range choices {
		enum = append(enum, c)
		if i > 0 {
			pattern.WriteByte('|')
		}
		for _, r := range c {
			low, up := strings.ToLower(string(r)), strings.ToUpper(string(r))
			switch {
			case low != up:
				pattern.WriteString("[" + low + up + "]")
			case strings.ContainsRune(`.+*?()|[]{}^$\/-`, r):
				pattern.WriteString(`\` + low)
			default:
				pattern.WriteString(low)
			}
		}
	}
	pattern.WriteString(`)?\s*$`)
	s.AnyOf = []*jsonschema.Schema{{Enum: enum}, {Types: []string{"string", "null"}, Pattern: pattern.String()}}
	if slices.Contains(choices, def) {
		s.Default = quote(def)
	}
	return s
}

func quote(s string) json.RawMessage {
	doc, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return doc
}

func unitName(unit time.Duration) string {
	switch unit {
	case time.Millisecond:
		return "In milliseconds."
	case time.Second:
		return "In seconds."
	case time.Minute:
		return "In minutes."
	case time.Hour:
		return "In hours."
	default:
		return "In units of " + unit.String() + "."
	}
}
