package conf_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func root(doc string) (*conf.Object, *conf.Reader) {
	r := conf.NewReader(nil)
	return r.Root(json.RawMessage(doc)), r
}

func TestValuesAreReadAsPeopleWriteThem(t *testing.T) {
	o, r := root(`{"n": "0x1f", "m": 7.0, "k": "12", "f": "2.5", "s": 5, "b": "True", "null": null, "mode": " PUSH ",
		"list": {}, "one": "x", "many": ["a", 2], "t": 1.5}`)
	assert.EqualValues(t, 31, o.Int("n", 0, 0, 100))
	assert.EqualValues(t, 7, o.Int("m", 0, 0, 100))
	assert.EqualValues(t, 12, o.Int("k", 0, 0, 100))
	assert.InDelta(t, 2.5, o.Float("f", 0, 0, 10), 0)
	assert.Equal(t, "5", o.Text("s", ""))
	assert.True(t, o.Flag("b", false))
	assert.Equal(t, "def", o.Text("null", "def"))
	assert.False(t, o.Has("null"))
	assert.Equal(t, "push", o.OneOf("mode", "pull", "pull", "push"))
	assert.Empty(t, o.Elements("list"))
	assert.Equal(t, []string{"x"}, o.Strings("one"))
	assert.Equal(t, []string{"a", "2"}, o.Strings("many"))
	assert.Equal(t, 1500*time.Millisecond, o.Duration("t", time.Second, 0))
	assert.Equal(t, time.Minute, o.Duration("absent", time.Second, time.Minute))
	require.NoError(t, r.Done())
}

func TestEveryProblemNamesItsKey(t *testing.T) {
	o, r := root(`{"broker": {"port": 70000, "tls": 3}, "mapping": [{"type": "x"}, 5], "list": 1, "texts": [{}], "far": 1e300}`)
	b := o.Object("broker")
	assert.EqualValues(t, 1883, b.Int("port", 1883, 1, 65535))
	b.Flag("tls", false)
	b.Required("host")
	list := o.Objects("mapping")
	require.Len(t, list, 2)
	list[0].OneOf("type", "json", "json", "bytes")
	o.Elements("list")
	o.Strings("texts")
	o.Duration("far", time.Second, 0)
	err := r.Done()
	require.Error(t, err)
	for _, want := range []string{
		"broker.port: 70000 is not a whole number from 1 to 65535", "broker.tls: 3 is not true or false",
		"broker.host: is missing", `mapping[0].type: "x" is not one of json, bytes`, "mapping[1]: is not an object",
		"list: 1 is not a list", "texts[0]: {} is not text", "far: 1e300 is not a number",
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestKeysWithoutEffectAreNamedOnceForAFile(t *testing.T) {
	var out bytes.Buffer
	r := conf.NewReader(slog.New(slog.NewTextHandler(&out, nil)))
	o := r.Root(json.RawMessage(`{"a": 1, "maxWorkers": 2, "list": [{"b": 1}, {"b": 2}]}`))
	o.Unused("maxWorkers", "maxQueue")
	for _, e := range o.Objects("list") {
		e.Warn("b", "is old")
		e.Finish()
	}
	o.Finish()
	require.NoError(t, r.Done())
	assert.Equal(t, 1, bytes.Count(out.Bytes(), []byte("is old")))
	assert.Contains(t, out.String(), `keys="[a list[].b]"`)
	assert.Contains(t, out.String(), `keys=[maxWorkers]`)
}

func TestKeysSayWhatIsRead(t *testing.T) {
	o, r := root(`{"$schema": "x", "list": [{}, {}], "named": {"x.y[0]": {"on": "true"}}, "one": "x"}`)
	for _, e := range o.Objects("list") {
		e.Int("n", 3, 1, 9)
		e.Int("n", 3, 0, 5)
		e.OneOf("mode", "a", "a", "b")
		e.Raw("mode") // says less
		e.Duration("wait", time.Second, time.Minute)
	}
	for _, m := range o.Members("named") {
		assert.Equal(t, "x.y[0]", m.Name)
		m.Flag("on", false)
		m.Text("on", "")
	}
	o.Strings("one")
	o.Unused("old")
	o.Finish()
	assert.Equal(t, []conf.Key{
		{Path: "list", Kind: conf.Objects},
		{Path: "list[].mode", Kind: conf.Text, Default: "a", Choices: []string{"a", "b"}},
		{Path: "list[].n", Kind: conf.Int, Default: "3", Low: 0, High: 9},
		{Path: "list[].wait", Kind: conf.Time, Default: "1m0s", Unit: time.Second},
		{Path: "named", Kind: conf.Dict},
		{Path: "named.*.on", Kind: conf.Text},
		{Path: "named.*.on", Kind: conf.Flag, Default: "false"},
		{Path: "old", Unused: true},
		{Path: "one", Kind: conf.Texts},
	}, r.Keys())
	require.NoError(t, r.Done())
}

func TestAKeyIsRequiredIfEveryObjectNeedsIt(t *testing.T) {
	read := func(r *conf.Reader, doc string) {
		o := r.Root(json.RawMessage(doc))
		o.Need("n")
		o.Int("n", 0, 0, 9)
		if o.Flag("named", true) {
			o.Required("name")
		}
		o.Text("name", "")
	}
	required := func(r *conf.Reader) (names []string) {
		for _, k := range r.Keys() {
			if k.Required {
				names = append(names, k.Path)
			}
		}
		return names
	}
	r := conf.NewReader(nil)
	read(r, `{"n": 1, "name": "x"}`)
	assert.Equal(t, []string{"n", "name"}, required(r))
	next := r.Next()
	read(next, `{"n": 1, "named": false}`)
	assert.Equal(t, []string{"n"}, required(next))
	require.NoError(t, next.Done())

	r = conf.NewReader(nil)
	read(r, `{}`)
	assert.ErrorContains(t, r.Done(), "n: is missing\nname: is missing")
}

func TestTheKeyOfEditorsMeansNothing(t *testing.T) {
	var out bytes.Buffer
	r := conf.NewReader(slog.New(slog.NewTextHandler(&out, nil)))
	r.Root(json.RawMessage(`{"$schema": "modbus.json"}`)).Finish()
	require.NoError(t, r.Done())
	assert.Empty(t, out.String())
}

func TestAListMayHoldObjectsAndOthers(t *testing.T) {
	o, r := root(`{"a": {"list": ["*", {"n": "x"}, 5]}}`)
	a := o.Object("a")
	for i, raw := range a.Elements("list") {
		if raw[0] == '"' {
			continue
		}
		a.Element("list", i, raw).Int("n", 0, 0, 9)
	}
	err := r.Done()
	assert.ErrorContains(t, err, `a.list[1].n: "x" is not a whole number`)
	assert.ErrorContains(t, err, "a.list[2]: is not an object")
}

func TestReportPolicy(t *testing.T) {
	outer := &telemetry.ReportPolicy{Mode: telemetry.OnPeriod, Period: time.Hour}
	for doc, want := range map[string]telemetry.ReportPolicy{
		`{}`:                             *outer,
		`{"sendDataOnlyOnChange": true}`: {Mode: telemetry.OnChange},
		`{"reportStrategy": {"type": "ON_CHANGE_OR_REPORT_PERIOD", "reportPeriod": 500}}`: {Mode: telemetry.OnChangeOrPeriod, Period: 500 * time.Millisecond},
		`{"reportStrategy": {"type": "DISABLED"}}`:                                        {Mode: telemetry.OnReceived, Period: 10 * time.Second},
		`{"reportStrategy": {"type": "on_change", "ttl": 60, "deadband": 0.5, "deadbandPercent": "1", "minReportPeriod": 1500, "attributes": {"type": "ON_RECEIVED", "reportPeriod": 1}}}`: {
			Mode: telemetry.OnChange, Period: 10 * time.Second, TTL: time.Minute, Deadband: 0.5, DeadbandPercent: 1, MinInterval: 1500 * time.Millisecond,
			Attributes: &telemetry.ReportPolicy{Period: time.Millisecond},
		},
		// What has no effect is logged.
		`{"reportStrategy": {"type": "ON_CHANGE", "aggregationFunction": "SUM", "repeat": true}}`:         {Mode: telemetry.OnChange, Period: 10 * time.Second},
		`{"reportStrategy": {"type": "ON_REPORT_PERIOD", "aggregationFunction": "avg", "repeat": true}}`:  {Mode: telemetry.OnPeriod, Period: 10 * time.Second, Aggregate: telemetry.AggregateAvg},
		`{"reportStrategy": {"type": "ON_REPORT_PERIOD", "aggregationFunction": "avg"}}`:                  {Mode: telemetry.OnPeriod, Period: 10 * time.Second, Aggregate: telemetry.AggregateAvg},
		`{"reportStrategy": {"type": "ON_REPORT_PERIOD", "aggregationFunction": "COUNT"}}`:                {Mode: telemetry.OnPeriod, Period: 10 * time.Second, Aggregate: telemetry.AggregateCount},
		`{"reportStrategy": {"type": "ON_REPORT_PERIOD", "aggregationFunction": "NONE", "repeat": true}}`: {Mode: telemetry.OnPeriod, Period: 10 * time.Second, Repeat: true},
	} {
		o, r := root(doc)
		assert.Equal(t, want, *conf.ReportPolicy(o, outer), doc)
		require.NoError(t, r.Done(), doc)
	}
	o, r := root(`{"reportStrategy": {"type": "SOMETIMES", "reportPeriod": 0}}`)
	conf.ReportPolicy(o, nil)
	assert.ErrorContains(t, r.Done(), "reportStrategy.type:")
	for doc, want := range map[string]string{
		`{"type": "ON_REPORT_PERIOD", "reportPeriod": 0}`:               "reportStrategy.reportPeriod:",
		`{"type": "ON_REPORT_PERIOD", "aggregationFunction": "MEDIAN"}`: "reportStrategy.aggregationFunction:",
		`{"deadband": -1}`:            "reportStrategy.deadband:",
		`{"ttl": -1}`:                 "reportStrategy.ttl:",
		`{"minReportPeriod": "soon"}`: "reportStrategy.minReportPeriod:",
		`{"attributes": {"type": "ON_REPORT_PERIOD", "reportPeriod": 0}}`: "reportStrategy.attributes.reportPeriod:",
	} {
		o, r := root(`{"reportStrategy": ` + doc + `}`)
		p := conf.ReportPolicy(o, nil)
		assert.ErrorContains(t, r.Done(), want, doc)
		assert.NoError(t, p.Check(), "what is left can be used: %s", doc)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(`{"a": [1, {"b": "0x"}]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, doc string) {
		o, r := root(doc)
		for _, key := range append(o.Keys(), "a") {
			o.Int(key, 0, math.MinInt64, math.MaxInt64)
			o.Float(key, 0, 0, 1)
			o.Flag(key, false)
			o.Strings(key)
			o.Duration(key, time.Nanosecond, 0)
			for _, e := range o.Objects(key) {
				conf.ReportPolicy(e, nil)
				e.Finish()
			}
		}
		o.Finish()
		_ = r.Done()
	})
}
