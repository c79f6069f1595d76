// Package conftest makes the JSON Schemas of configuration files, for editors, of what
// the loaders of these files really read, and checks them.
//
// The package of a protocol has one test for it:
//
//	func TestSchema(t *testing.T) {
//		conftest.Run(t, conftest.Config{
//			File:  "../../docs/schemas/modbus.json",
//			Title: "Modbus connector",
//			Load: func(r *conf.Reader, doc json.RawMessage) error {
//				_, err := parseFile(r, doc)
//				return err
//			},
//			Files:    []string{"testdata/*.json"},
//			Docs:     vectors(t),
//			Describe: map[string]string{"slaves[].host": "Address of the device."},
//			Wrong:    []string{`{"master": {"slaves": [{"unitId": 300}]}}`},
//		})
//	}
//
// It loads all configurations, makes a schema of the keys that were asked for, and
// compares it with the file. `go test -run TestSchema -update` writes the file.
//
// The schema takes what the loader takes: numbers written as text, null for nothing,
// a choice in any case, keys that nobody knows (the loader names them in the log). It
// does not say everything that the loader checks.
package conftest

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

var update = flag.Bool("update", false, "write the schemas of configuration files") //nolint:gochecknoglobals // a flag of go test

// Config says what the schema is made of.
type Config struct {
	File        string // of the schema
	Title       string
	Description string

	// Load reads a configuration by r, as the connector's type does, and returns
	// what is wrong with it.
	Load func(r *conf.Reader, doc json.RawMessage) error

	// Schema is what is completed and checked if it is not nil, instead of one of
	// the keys that Load asks r for. It is for files that are read into structs.
	Schema *jsonschema.Schema

	// Files are patterns of the names of configurations that have to load. Docs
	// are others: those that do not load do not count. Each key has to be in one
	// of them.
	Files []string
	Docs  []json.RawMessage

	// Describe tells what keys are for, by path, as in [conf.Key], or by the end
	// of the path: of several that fit a key the longest counts. Each key needs a
	// description; the keys of all connectors, and those without an effect, have
	// one.
	Describe map[string]string

	// Defaults and Examples are values of keys, by path or its end.
	Defaults map[string]any
	Examples map[string][]any

	// Spelling is how choices are usually written, such as "BIG".
	Spelling []string

	// Wrong are configurations with mistakes that the loader and the schema both
	// have to find.
	Wrong []string
}

// Run makes the schema, checks it, and compares it with the file.
func Run(t *testing.T, c Config) {
	t.Helper()
	docs := c.docs(t)
	s := c.Schema
	if s == nil {
		s = build(c.read(t, docs), c.Spelling)
	}
	s.Schema, s.Title, s.Description = "https://json-schema.org/draft/2020-12/schema", c.Title, c.Description
	c.checkUsed(t, s, docs)
	c.describe(t, s)
	s.Properties["$schema"] = &jsonschema.Schema{Type: "string", Description: "The schema of this file, for editors."}
	share(s)
	c.compare(t, s)
	c.check(t, docs)
}

// docs returns the configurations that load.
func (c *Config) docs(t *testing.T) []json.RawMessage {
	t.Helper()
	var docs []json.RawMessage
	for _, pattern := range c.Files {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names, "no files %s", pattern)
		for _, name := range names {
			doc, err := os.ReadFile(name)
			require.NoError(t, err)
			require.NoError(t, c.Load(conf.NewReader(nil), doc), name)
			docs = append(docs, doc)
		}
	}
	for _, doc := range c.Docs {
		if c.Load(conf.NewReader(nil), slices.Clone(doc)) == nil {
			docs = append(docs, doc)
		}
	}
	require.NotEmpty(t, docs, "no configuration loads")
	return docs
}

// read returns the keys that are asked for while docs are loaded.
func (c *Config) read(t *testing.T, docs []json.RawMessage) []conf.Key {
	t.Helper()
	r := conf.NewReader(nil)
	for _, doc := range docs {
		require.NoError(t, c.Load(r.Next(), slices.Clone(doc)), "it is loaded a second time")
	}
	return r.Keys()
}

// checkUsed fails for keys that no configuration has, nor another key of the same name
// and form: nothing shows that the schema is right about them. Those that package conf
// reads for all are tested there.
func (c *Config) checkUsed(t *testing.T, s *jsonschema.Schema, docs []json.RawMessage) {
	t.Helper()
	used := make(map[string]bool)
	for _, doc := range docs {
		walkDoc(s, "", decode(t, doc), used)
	}
	forms := make(map[string]bool)
	form := func(path string, p *jsonschema.Schema) string {
		_, name := cut(path)
		own := *p // what is below it has forms of its own
		own.Default, own.Required, own.Properties, own.Items, own.AdditionalProperties = nil, nil, nil, nil, nil
		doc, err := json.Marshal(own)
		require.NoError(t, err)
		return name + string(doc)
	}
	walk(s, "", func(path string, p *jsonschema.Schema) {
		for _, b := range branches(p) {
			forms[form(path, b)] = forms[form(path, b)] || used[path] || p.Deprecated
		}
	})
	walk(s, "", func(path string, p *jsonschema.Schema) {
		for _, b := range branches(p) {
			assert.True(t, forms[form(path, b)] || common(path) != "", "no configuration has the key %s", path)
		}
	})
}

// compare compares s with the file, or writes it.
func (c *Config) compare(t *testing.T, s *jsonschema.Schema) {
	t.Helper()
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	var doc bytes.Buffer
	require.NoError(t, json.Indent(&doc, raw, "", "  "))
	doc.WriteByte('\n')
	if *update {
		require.NoError(t, os.WriteFile(c.File, doc.Bytes(), 0o644))
		return
	}
	old, err := os.ReadFile(c.File)
	require.NoError(t, err)
	if !bytes.Equal(doc.Bytes(), bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n"))) {
		assert.Equal(t, string(old), doc.String())
		t.Errorf("%s is not what the loader reads any more: go test -run TestSchema -update", c.File)
	}
}

// check validates configurations against the file.
func (c *Config) check(t *testing.T, docs []json.RawMessage) {
	t.Helper()
	raw, err := os.ReadFile(c.File)
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(raw, &s))
	rs, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	require.NoError(t, err)
	for _, doc := range docs {
		assert.NoError(t, rs.Validate(decode(t, doc)), "the loader takes it, the schema does not: %s", doc)
	}
	for _, doc := range c.Wrong {
		assert.Error(t, c.Load(conf.NewReader(nil), json.RawMessage(doc)), "the loader takes %s", doc)
		assert.Error(t, rs.Validate(decode(t, json.RawMessage(doc))), "the schema takes %s", doc)
	}
}

func decode(t *testing.T, doc json.RawMessage) (x any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")), &x), "%s", doc)
	return x
}

// walk calls f for each property below s, with its path.
func walk(s *jsonschema.Schema, path string, f func(path string, p *jsonschema.Schema)) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p, at := s.Properties[name], below(path, name)
		f(at, p)
		for _, b := range branches(p) {
			walk(b, at, f)
		}
	}
	if s.Items != nil {
		walk(s.Items, path+"[]", f)
	}
	if s.AdditionalProperties != nil {
		walk(s.AdditionalProperties, below(path, "*"), f)
	}
}

// walkDoc notes the paths of the properties of s that x has.
func walkDoc(s *jsonschema.Schema, path string, x any, used map[string]bool) {
	switch x := x.(type) {
	case []any:
		for _, e := range x {
			if s.Items != nil {
				walkDoc(s.Items, path+"[]", e, used)
			}
		}
	case map[string]any:
		for name, e := range x {
			p, at := s.Properties[name], below(path, name)
			if p == nil {
				p, at = s.AdditionalProperties, below(path, "*")
			}
			if p == nil || e == nil {
				continue
			}
			used[at] = true
			for _, b := range branches(p) {
				walkDoc(b, at, e, used)
			}
		}
	}
}

// branches returns the forms that s may have.
func branches(s *jsonschema.Schema) []*jsonschema.Schema {
	if s.AnyOf == nil {
		return []*jsonschema.Schema{s}
	}
	return s.AnyOf
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
