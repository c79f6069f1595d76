package conftest_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/conf/conftest"
)

// load reads files that have something of everything.
func load(r *conf.Reader, doc json.RawMessage) error {
	o := r.Root(doc)
	for _, key := range []string{"first", "second"} {
		for _, s := range o.Objects(key) {
			s.Required("host")
			if s.OneOf("type", "tcp", "tcp", "serial-line") == "tcp" {
				s.Int("port", 502, 1, 65535)
			} else {
				s.Text("port", "")
			}
			s.Flag("on", true)
			s.Duration("period", time.Millisecond, 5*time.Second)
			s.Float("scale", 1, 0, 10)
			s.Finish()
		}
	}
	for _, m := range o.Members("named") {
		m.Strings("texts")
		m.Elements("any")
		m.Raw("value")
	}
	o.Unused("old")
	o.Finish()
	return r.Done()
}

// schema returns the schema of load's files.
func schema(t *testing.T, change func(c *conftest.Config)) *jsonschema.Resolved {
	t.Helper()
	c := conftest.Config{
		File: filepath.Join(t.TempDir(), "schema.json"), Title: "Test", Load: load,
		Docs: []json.RawMessage{
			json.RawMessage(`{"first": [{"host": "h", "type": "TCP", "port": "0x10", "on": "True", "period": 1.5, "scale": "1e-3"}],
				"second": {}, "named": {"x": {"texts": "one", "any": [1], "value": 5}}}`),
			json.RawMessage(`{"first": [{"host": "g", "type": "Serial-line"}], "second": [{"host": "i"}, {"host": "h", "type": "serial-line", "port": "/dev/tty", "on": false, "period": "3", "scale": 2}]}`),
			json.RawMessage(`{"first": 5}`), // does not load
		},
		Describe: map[string]string{
			"host": "The host.", "port": "The port.", "type": "How.", "on": "Whether.", "period": "When.", "scale": "How much.", "first": "1", "second": "2",
			"named": "By name.", "texts": "Texts.", "any": "Anything.", "value": "A value.",
		},
		Spelling: []string{"SERIAL-line"},
		Examples: map[string][]any{"host": {"192.0.2.1"}},
		Wrong:    []string{`{"first": [{"host": "h", "port": 70000}]}`, `{"first": [{}]}`},
	}
	if change != nil {
		change(&c)
	}
	old := flag.Lookup("update").Value.String()
	require.NoError(t, flag.Set("update", "true"))
	defer func() { require.NoError(t, flag.Set("update", old)) }()
	conftest.Run(t, c)
	raw, err := os.ReadFile(c.File)
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(raw, &s))
	rs, err := s.Resolve(nil)
	require.NoError(t, err)
	return rs
}

func TestTheSchemaTakesWhatTheLoaderTakes(t *testing.T) {
	rs := schema(t, nil)
	for doc, ok := range map[string]bool{
		`{}`: true, `{"nobody": {"knows": 1}}`: true, `{"first": {}}`: true, `{"first": {"a": 1}}`: false, `{"first": 5}`: false, `[]`: false,
		`{"first": [{"host": 5}]}`: true, `{"first": [{"host": []}]}`: false, `{"first": [{"host": "h", "period": -1}]}`: false,
		`{"first": [{"host": "h", "type": " Serial-LINE "}]}`: true, `{"first": [{"host": "h", "type": "udp"}]}`: false,
		`{"first": [{"host": "h", "port": 0}]}`: false, `{"first": [{"host": "h", "port": true}]}`: false, `{"first": [{"host": "h", "port": null}]}`: true,
		`{"first": [{"host": "h", "on": "yes"}]}`: false, `{"first": [{"host": "h", "on": "FALSE"}]}`: true, `{"first": [{"host": "h", "on": 1}]}`: false,
		`{"first": [{"host": "h", "scale": "much"}]}`: false, `{"first": [{"host": "h", "scale": " 2.5 "}]}`: true, `{"first": [{"host": "h", "scale": 11}]}`: false,
		`{"named": {"y": {"texts": ["a", 1]}}}`: true, `{"named": {"y": {"texts": [[]]}}}`: false, `{"named": {"y": 5}}`: false, `{"named": {"y": null}}`: true,
		`{"named": {"y": {"any": 1}}}`: false, `{"$schema": "x"}`: true,
	} {
		var x any
		require.NoError(t, json.Unmarshal([]byte(doc), &x))
		if err := rs.Validate(x); ok {
			assert.NoError(t, err, doc)
		} else {
			assert.Error(t, err, doc)
		}
	}
}

func TestEditorsAreTold(t *testing.T) {
	s := schema(t, nil).Schema()
	first := s.Properties["first"]
	assert.Equal(t, "1", first.Description)
	require.NotEmpty(t, first.Items.Ref, "what is there twice is shared")
	assert.Equal(t, first.Items.Ref, s.Properties["second"].Items.Ref)
	o := s.Defs["first"]
	assert.Equal(t, []string{"host"}, o.Required)
	assert.Equal(t, []any{"192.0.2.1"}, o.Properties["host"].Examples)
	assert.Equal(t, "When. In milliseconds.", o.Properties["period"].Description)
	assert.JSONEq(t, "5000", string(o.Properties["period"].Default))
	assert.JSONEq(t, "502", string(o.Properties["port"].Default))
	assert.JSONEq(t, `"tcp"`, string(o.Properties["type"].Default))
	assert.Equal(t, []any{"tcp", "SERIAL-line"}, o.Properties["type"].AnyOf[0].Enum)
	assert.Equal(t, "Period", o.Properties["period"].Title)
	assert.True(t, s.Properties["old"].Deprecated)
}
