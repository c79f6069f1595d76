package conftest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// describe gives the properties of s titles, descriptions, defaults and examples.
func (c *Config) describe(t *testing.T, s *jsonschema.Schema) {
	t.Helper()
	used := make(map[string]bool)
	walk(s, "", func(path string, p *jsonschema.Schema) {
		_, name := cut(path)
		p.Title = title(name)
		text := c.description(path, used)
		if text == "" && p.Deprecated {
			text = "Known, and without an effect here."
		}
		assert.NotEmpty(t, text, "the key %s has no description", path)
		for _, b := range branches(p) { // which may name the unit
			text = strings.TrimSpace(text + " " + b.Description)
			b.Description = ""
		}
		p.Description = text
		if at := longestEnd(c.Defaults, path); at != "" {
			used[at] = true
			doc, err := json.Marshal(c.Defaults[at])
			require.NoError(t, err)
			p.Default = doc
		}
		if at := longestEnd(c.Examples, path); at != "" {
			used[at] = true
			p.Examples = c.Examples[at]
		}
	})
	checkStale(t, c.Describe, used)
	checkStale(t, c.Defaults, used)
	checkStale(t, c.Examples, used)
}

func checkStale[V any](t *testing.T, table map[string]V, used map[string]bool) {
	t.Helper()
	for path := range table {
		assert.True(t, used[path], "there is no key %s, or a longer path describes it", path)
	}
}

func (c *Config) description(path string, used map[string]bool) string {
	if at := longestEnd(c.Describe, path); at != "" {
		used[at] = true
		return c.Describe[at]
	}
	return common(path)
}

// common returns the description of a key that means the same for all connectors, or "".
func common(path string) string {
	if text := ofAllFiles()[path]; text != "" {
		return text
	}
	all := ofAllSections()
	return all[longestEnd(all, strings.Replace(path, "reportStrategy.attributes.", "reportStrategy.", 1))]
}

// longestEnd returns the longest end of path that table has, or "".
func longestEnd[V any](table map[string]V, path string) string {
	for {
		if _, ok := table[path]; ok {
			return path
		}
		i := strings.IndexByte(path, '.')
		if i < 0 {
			return ""
		}
		path = path[i+1:]
	}
}

// ofAllFiles describes the keys that every connector's file may have.
func ofAllFiles() map[string]string {
	return map[string]string{
		"name":                "Name of the connector.",
		"id":                  "Identifier of the connector, given by the platform.",
		"type":                "Type of the connector.",
		"class":               "Name of a class of the reference gateway; the type counts.",
		"configuration":       "Name of this file.",
		"configurationJson":   "The configuration itself.",
		"configVersion":       "Version of the file's format.",
		"logLevel":            "Level of the log. The program sets it for all connectors.",
		"enableRemoteLogging": "Whether the log goes to the platform too. The program sets it for all connectors.",
		"compatibility":       "\"thingsboard\" converts values as the ThingsBoard gateway does, also where that is a fault.",
	}
}

// ofAllSections describes keys that mean the same wherever they are.
func ofAllSections() map[string]string {
	return map[string]string{
		"reportStrategy":              "Which readings are sent. What is more specific counts: a value, then its device, the connector, the gateway.",
		"reportStrategy.type":         "Send every reading, changes only, the latest once in a period, or both.",
		"reportStrategy.reportPeriod": "The period of ON_REPORT_PERIOD and ON_CHANGE_OR_REPORT_PERIOD.",

		"reportStrategy.ttl":                 "Time after which an equal value is sent again; 0 is never.",
		"reportStrategy.deadband":            "The smallest change of a number that is one.",
		"reportStrategy.deadbandPercent":     "The same in percent of what was sent last.",
		"reportStrategy.minReportPeriod":     "The least time between two values.",
		"reportStrategy.aggregationFunction": "What is sent of the readings of a period; for ON_REPORT_PERIOD.",
		"reportStrategy.repeat":              "Send the last value in periods without a reading.",
		"reportStrategy.attributes":          "The strategy of attributes, if it is another.",
		"sendDataOnlyOnChange":               "Send only what has changed: the report strategy ON_CHANGE, if there is no reportStrategy.",
	}
}

// title returns the words of a key.
func title(name string) string {
	var b strings.Builder
	last := ' '
	for i, r := range name {
		switch {
		case r == '_' || r == '-':
			r = ' '
		case unicode.IsUpper(r) && unicode.IsLower(last):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		if i == 0 {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}
