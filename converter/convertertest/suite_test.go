package convertertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A fakeTest records what a test that runs in it reports.
type fakeTest struct {
	testing.TB
	log     []string
	failed  bool
	skipped bool
}

func (f *fakeTest) Helper()       {}
func (f *fakeTest) Skipped() bool { return f.skipped }
func (f *fakeTest) Log(args ...any) {
	f.log = append(f.log, fmt.Sprint(args...))
}

func (f *fakeTest) Errorf(format string, args ...any) {
	f.failed = true
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

func (f *fakeTest) Fatal(args ...any) {
	f.failed = true
	f.Log(args...)
	runtime.Goexit()
}

func (f *fakeTest) Skip(args ...any) {
	f.skipped = true
	f.Log(args...)
	runtime.Goexit()
}

// A result is what running suites has come to.
type result struct {
	failed map[string]bool // by subtest
	root   bool            // the test itself has failed
	log    string
	line   string
}

// trial runs suites over files of a folder "v" in a test that may fail.
func trial(t *testing.T, files map[string]string, suites ...convertertest.Suite) result {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, "v", name+".json")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	res := result{failed: make(map[string]bool)}
	root := &fakeTest{TB: t}
	var logs []string
	sub := func(name string, f func(testing.TB)) bool {
		inner := &fakeTest{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			f(inner)
		}()
		<-done
		res.failed[name] = inner.failed
		logs = append(logs, inner.log...)
		return !inner.failed
	}
	var out strings.Builder
	convertertest.RunWith(root, sub, dir, &out, suites...)
	res.root, res.log, res.line = root.failed, strings.Join(append(logs, root.log...), "\n"), strings.TrimSpace(out.String())
	return res
}

// echo returns the input as the result.
func echo(_ testing.TB, v *convertertest.Vector) (any, error) { return v.Input, nil }

func always(got any, err error) convertertest.Func {
	return func(testing.TB, *convertertest.Vector) (any, error) { return got, err }
}

func TestAVectorPassesOnlyWithItsResult(t *testing.T) {
	files := map[string]string{
		"right": `{"input":{"a":[1,2.0,"x",null]},"expected":{"a":[1,2.0,"x",null]}}`,
		"wrong": `{"input":{"a":5},"expected":{"a":5.0}}`,
	}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: echo})
	require.Equal(t, map[string]bool{"v/right": false, "v/wrong": true}, res.failed)
	require.Contains(t, res.log, "a: want 5.0, got 5")
	require.Equal(t, "vectors: 2 run, 1 passed, 0 skipped", res.line)
}

func TestARefusalIsRightWhereNothingIsExpected(t *testing.T) {
	empty := `{"deviceName":"D","deviceType":"x","attributes":{},"telemetry":[]}`
	files := map[string]string{
		"null": `{"input":1,"expected":null}`, "list": `{"input":1,"expected":[]}`, "empty": `{"input":1,"expected":` + empty + `}`,
		"value": `{"input":1,"expected":1}`,
	}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: always(nil, errors.New("no"))})
	require.Equal(t, map[string]bool{"v/null": false, "v/list": false, "v/empty": false, "v/value": true}, res.failed)
}

func TestAQuirkIsJudgedByWhatIsBetter(t *testing.T) {
	const quirk = `{"input":1,"expected":1,"quirk":"one too few","recommended":"add one"}`
	suite := convertertest.Suite{Folder: "v", Run: echo, Better: map[string]string{"q": "2"}}
	require.True(t, trial(t, map[string]string{"q": quirk}, suite).failed["v/q"], "the recorded result of a quirk must not do")
	suite.Run = always(2, nil)
	require.False(t, trial(t, map[string]string{"q": quirk}, suite).failed["v/q"])

	suite.Better["q"] = convertertest.Refused
	require.True(t, trial(t, map[string]string{"q": quirk}, suite).failed["v/q"], "what has to be refused was not")
	suite.Run = always(nil, errors.New("no"))
	require.False(t, trial(t, map[string]string{"q": quirk}, suite).failed["v/q"])
}

func TestRecommendedDataNeedNoRecord(t *testing.T) {
	files := map[string]string{"q": `{"input":[2],"expected":[1],"status":"reference-bug","recommended":[2]}`}
	require.False(t, trial(t, files, convertertest.Suite{Folder: "v", Run: echo}).failed["v/q"])
	require.True(t, trial(t, files, convertertest.Suite{Folder: "v", Run: always([]int{1}, nil)}).failed["v/q"])
}

func TestABetterResultCountsForQuirksOnly(t *testing.T) {
	files := map[string]string{"plain": `{"input":1,"expected":1}`}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: echo, Better: map[string]string{"plain": "7"}})
	require.False(t, res.failed["v/plain"], "without a quirk, what is expected is the contract")
}

func TestTheSwitchRestoresExactlyWhatWasRecorded(t *testing.T) {
	files := map[string]string{"q": `{"input":1,"expected":1,"quirk":"one too few"}`}
	suite := convertertest.Suite{Folder: "v", Run: always(2, nil), Better: map[string]string{"q": "2"}, Restores: []string{"q"}, Compatible: echo}
	require.False(t, trial(t, files, suite).failed["v/q"])
	suite.Compatible = always(2, nil)
	require.True(t, trial(t, files, suite).failed["v/q"])
	suite.Compatible = nil
	require.True(t, trial(t, files, suite).failed["v/q"], "there is nothing that restores")
}

func TestWhatIsNotRunIsCountedWithItsReason(t *testing.T) {
	files := map[string]string{
		"a": `{"input":1,"expected":1,"quirk":"odd","recommended":"do better"}`,
		"b": `{"input":1,"expected":1,"kind":"serial"}`,
		"c": `{"input":1,"expected":1}`,
		"d": `{"input":1,"expected":1}`,
	}
	run := func(tb testing.TB, v *convertertest.Vector) (any, error) {
		if v.File == "d" {
			tb.Skip("not today")
		}
		return v.Input, nil
	}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: run, Skip: func(v *convertertest.Vector) string {
		if v.Kind == "serial" {
			return "needs a port"
		}
		return ""
	}})
	require.Equal(t, `vectors: 1 run, 1 passed, 3 skipped: v/a: a quirk (odd) of which no better result is recorded; recommended: "do better"; `+
		`v/b: needs a port; v/d: by the test itself`, res.line)
	require.False(t, res.root)
}

func TestNothingIsLeftOutInSilence(t *testing.T) {
	suite := convertertest.Suite{Folder: "v", Run: echo}
	require.True(t, trial(t, map[string]string{"../other/x": `{}`, "x": `{"input":1}`}, suite).root, "a vector without a result")
	require.True(t, trial(t, map[string]string{"x": `{"input":`}, suite).root, "not JSON")
	require.True(t, trial(t, map[string]string{"x": `{"config":"gone.json","expected":1}`}, suite).root, "a configuration that is not there")
	none := suite
	none.Glob = "z*.json"
	require.True(t, trial(t, map[string]string{"x": `{"input":1,"expected":1}`}, none).root, "no vector at all")
	require.True(t, trial(t, nil).root, "no suite at all")
	res := trial(t, map[string]string{"x": `{"input":1,"expected":1}`}, suite, convertertest.Suite{Folder: "gone", Run: echo})
	require.Equal(t, "vectors: 1 run, 1 passed, 1 skipped: gone: the folder is not in GATEWAY_VECTORS", res.line)
}

func TestAConfigurationMayBeAFile(t *testing.T) {
	files := map[string]string{"x": `{"config":"shared.json","input":1,"expected":{"k":1}}`, "shared": `{"k":1}`}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: func(_ testing.TB, v *convertertest.Vector) (any, error) {
		return v.Config, nil
	}})
	require.Equal(t, map[string]bool{"v/x": false}, res.failed, "what others share is no vector")
}

func TestATableIsComparedByItsSuite(t *testing.T) {
	files := map[string]string{"object": `{"cases":[1,2]}`, "array": `[1,2]`}
	run := func(tb testing.TB, v *convertertest.Vector) (any, error) {
		var cases []int
		require.NoError(t, json.Unmarshal(v.Cases, &cases))
		if v.File == "array" {
			tb.Errorf("%d cases differ", len(cases))
		}
		return nil, nil
	}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: run})
	require.Equal(t, map[string]bool{"v/object": false, "v/array": true}, res.failed)
	require.True(t, trial(t, files, convertertest.Suite{Folder: "v", Run: always(nil, errors.New("no"))}).failed["v/object"])
}

func TestAFatalProblemFailsItsVectorOnly(t *testing.T) {
	files := map[string]string{"a": `{"input":1,"expected":1}`, "b": `{"input":1,"expected":1}`}
	res := trial(t, files, convertertest.Suite{Folder: "v", Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
		if v.File == "a" {
			tb.Fatal("broken")
		}
		return v.Input, nil
	}})
	require.Equal(t, map[string]bool{"v/a": true, "v/b": false}, res.failed)
	require.Equal(t, "vectors: 2 run, 1 passed, 0 skipped", res.line)
}

func TestABatchIsComparedByItsContents(t *testing.T) {
	var b telemetry.Batch
	b.Device("B", "p")
	b.AddTelemetry(telemetry.Point{Key: "late", Value: telemetry.Float(2), TS: 2000})
	b.AddTelemetry(telemetry.Point{Key: "early", Value: telemetry.Int(1), TS: 1000})
	b.Device("A", "")
	b.Attribute("fw", telemetry.String("1\"2"))
	b.Device("B", "p")
	b.Telemetry("now", telemetry.Bool(false))
	b.Device("nothing", "")
	const want = `[{"deviceName":"A","deviceType":null,"attributes":{"fw":"1\"2"},"telemetry":[]},
	 {"deviceName":"B","deviceType":"p","attributes":{},"telemetry":[
	  {"ts":1000,"values":{"early":1}},{"ts":2000,"values":{"late":2.0}},{"ts":5,"values":{"now":false}}]}]`
	require.Empty(t, convertertest.Diff(json.RawMessage(want), convertertest.Messages(&b), 5))
	require.Empty(t, convertertest.Diff(json.RawMessage(`{"messages":`+want+`}`), convertertest.Messages(&b), 5))
	for was, is := range map[string]string{
		`"early":1`: `"early":2`, `"late":2.0`: `"late":2`, `"ts":1000`: `"ts":1001`, `"ts":5`: `"ts":6`, `null`: `"q"`,
		`"fw"`: `"fv"`, `false`: `0`, `"deviceName":"A"`: `"deviceName":"C"`,
	} {
		require.NotEmpty(t, convertertest.Diff(json.RawMessage(strings.Replace(want, was, is, 1)), convertertest.Messages(&b), 5), was)
	}
}

func TestAReadingThatIsStoredTwiceDiffers(t *testing.T) {
	var once, twice telemetry.Batch
	for range 2 {
		twice.Device("D", "")
		twice.Telemetry("t", telemetry.Int(1))
	}
	once.Device("D", "")
	once.Telemetry("t", telemetry.Int(1))
	require.NotEmpty(t, convertertest.Diff(convertertest.Messages(&once), convertertest.Messages(&twice), 0))
}

func TestNumbersDifferByKindAndValue(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"5", "5", true},
		{"5", "5.0", false},
		{"5.0", "5.00", true},
		{"1e3", "1000.0", true},
		{"1e3", "1000", false},
		{"0", "-0", true},
		{"9007199254740993", "9007199254740992", false},
		{"0.1", "0.10000000000000001", true},
		{"4e-06", "0.000004", true},
		{"1", "true", false},
		{"1", `"1"`, false},
		{"null", "0", false},
		{"{}", "[]", false},
	} {
		diff := convertertest.Diff(json.RawMessage(c.a), json.RawMessage(c.b), 0)
		require.Equal(t, c.same, diff == "", "%s and %s: %s", c.a, c.b, diff)
	}
}

func FuzzDiff(f *testing.F) {
	f.Add(`{"deviceName":"A","attributes":{"x":1},"telemetry":[{"ts":{"a":[]},"values":{"x":1}}]}`)
	f.Add(`{"deviceName":{},"attributes":{},"telemetry":[1,{"values":[]}]}`)
	f.Add(`[{"deviceName":null,"telemetry":[]},{"deviceName":1,"attributes":{"k":{}}}]`)
	f.Add(`{"messages":[1e400,-0]}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc := json.RawMessage(text)
		diff := convertertest.Diff(doc, doc, 5)
		if json.Valid(doc) && !strings.Contains(text, "e") && !strings.Contains(text, "E") {
			require.Empty(t, diff, "a document differs from itself")
		}
	})
}
