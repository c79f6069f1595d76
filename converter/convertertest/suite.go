package convertertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Refused is the result, in [Suite.Better], of an input that gives an error.
const Refused = "refused"

// A Func puts the input of a vector through a connector or converter that was
// made of the vector's configuration. What it returns is compared with the
// vector's result: a *telemetry.Batch as [Messages] shows it, a json.RawMessage
// or []byte as the JSON that it is, and anything else as encoding/json encodes
// it. An error means that the input was refused, which is right where the vector
// expects nothing; what cannot be run is reported to tb.
//
// The result of a table is not looked at: its cases are compared by the function,
// which reports to tb.
type Func func(tb testing.TB, v *Vector) (got any, err error)

// A Suite says how the vectors of a folder are run.
type Suite struct {
	Folder string // below testdata/vectors or $GATEWAY_VECTORS
	Glob   string // of the files' names; empty: *.json
	Run    Func

	// Better holds, by file name without ".json", what is right where a vector
	// has a quirk and no recommended data: JSON of the shape of the vectors'
	// expected, or Refused. A quirk without either is skipped.
	Better map[string]string

	// Compatible is Run with the switch on that restores what Restores names:
	// quirks of which it gives exactly what was recorded. They are checked besides
	// the better result. Nil: there is no such switch.
	Compatible Func
	Restores   []string

	// Skip returns why a vector cannot be run, or an empty text. Nil: all can.
	Skip func(v *Vector) string
}

// Run runs all vectors of the suites, one after the other, and prints a last line
//
//	vectors: N run, M passed, K skipped: reasons
//
// It fails if there is no vector. With GATEWAY_VECTORS set, a folder that is
// missing there is counted as skipped.
func Run(t *testing.T, suites ...Suite) {
	t.Helper()
	run(realTest{t}, os.Getenv("GATEWAY_VECTORS"), os.Stdout, suites)
}

// A tester is a test that can have subtests.
type tester interface {
	testing.TB
	sub(name string, f func(testing.TB)) (passed bool)
}

type realTest struct{ *testing.T }

func (t realTest) sub(name string, f func(testing.TB)) bool {
	return t.Run(name, func(t *testing.T) { f(t) })
}

// A tally counts the vectors of all suites.
type tally struct {
	run, passed int
	skipped     []string
}

func (c *tally) skip(name, reason string) { c.skipped = append(c.skipped, name+": "+reason) }

func (c *tally) String() string {
	line := fmt.Sprintf("vectors: %d run, %d passed, %d skipped", c.run, c.passed, len(c.skipped))
	if len(c.skipped) > 0 {
		line += ": " + strings.Join(c.skipped, "; ")
	}
	return line
}

func run(t tester, override string, out io.Writer, suites []Suite) {
	t.Helper()
	var c tally
	for _, s := range suites {
		s.runAll(t, override, &c)
	}
	if c.run == 0 && len(c.skipped) == 0 {
		t.Errorf("convertertest: there are no vectors")
	}
	_, _ = fmt.Fprintln(out, c.String())
}

func (s Suite) runAll(t tester, override string, c *tally) {
	t.Helper()
	root := override
	if root == "" {
		root = filepath.Join("testdata", "vectors")
	}
	dir := filepath.Join(root, s.Folder)
	if _, err := os.Stat(dir); override != "" && errors.Is(err, os.ErrNotExist) {
		c.skip(s.Folder, "the folder is not in GATEWAY_VECTORS")
		return
	}
	pattern := s.Glob
	if pattern == "" {
		pattern = "*.json"
	}
	vectors, err := read(dir, pattern)
	if err != nil {
		t.Errorf("%v", err)
	}
	if len(vectors) == 0 {
		t.Errorf("convertertest: no vector matches %s", filepath.Join(dir, pattern))
	}
	for _, v := range vectors {
		s.runOne(t, v, c)
	}
}

func (s Suite) runOne(t tester, v *Vector, c *tally) {
	t.Helper()
	name := s.Folder + "/" + v.File
	reason := ""
	if s.Skip != nil {
		reason = s.Skip(v)
	}
	want, known := s.want(v)
	if reason == "" && !known {
		reason = fmt.Sprintf("a quirk (%s) of which no better result is recorded; recommended: %s", v.Quirk, orNone(v.Recommended))
	}
	if reason != "" {
		c.skip(name, reason)
		t.sub(name, func(tb testing.TB) { tb.Helper(); tb.Skip(reason) })
		return
	}
	skipped := false
	passed := t.sub(name, func(tb testing.TB) {
		tb.Helper()
		defer func() { skipped = tb.Skipped() }()
		check(tb, v, s.Run, want)
		if slices.Contains(s.Restores, v.File) {
			s.checkCompatible(tb, v)
		}
	})
	switch {
	case skipped:
		c.skip(name, "by the test itself")
	case passed:
		c.run, c.passed = c.run+1, c.passed+1
	default:
		c.run++
	}
}

func orNone(raw json.RawMessage) string {
	if raw == nil {
		return "nothing"
	}
	return string(raw)
}

func (s Suite) checkCompatible(tb testing.TB, v *Vector) {
	tb.Helper()
	if s.Compatible == nil || !v.Quirky() {
		tb.Errorf("%s: there is nothing that could restore a quirk", v.File)
		return
	}
	tb.Log("with the quirks restored")
	check(tb, v, s.Compatible, v.Expected)
}

// want returns the result that v ought to have, and whether it is known. It is nil
// if the input has to be refused.
func (s Suite) want(v *Vector) (want json.RawMessage, known bool) {
	if !v.Quirky() || v.table() {
		return v.Expected, true
	}
	if better, ok := s.Better[v.File]; ok {
		if better == Refused {
			return nil, true
		}
		return json.RawMessage(better), true
	}
	if len(v.Recommended) > 0 && (v.Recommended[0] == '{' || v.Recommended[0] == '[') {
		return v.Recommended, true
	}
	return nil, false
}

// check runs v and compares. A want that is nil means an error.
func check(tb testing.TB, v *Vector, f Func, want json.RawMessage) {
	tb.Helper()
	got, err := f(tb, v)
	if v.table() {
		if err != nil {
			tb.Errorf("%s: %v", v.File, err)
		}
		return
	}
	switch {
	case err != nil && want != nil && !nothing(want, v.NowMs):
		tb.Errorf("%s: refused: %v\nwant: %s", v.File, err, want)
	case err != nil:
		return
	case want == nil:
		tb.Errorf("%s: was not refused\ngot: %s", v.File, show(got))
	default:
		doc := show(got)
		if diff := Diff(want, doc, v.NowMs); diff != "" {
			tb.Errorf("%s:\n%s\ngot: %s", v.File, diff, doc)
		}
	}
}

// nothing reports whether a result says that nothing comes out.
func nothing(want json.RawMessage, now int64) bool {
	none := json.RawMessage("[]")
	return Diff(want, none, now) == ""
}
