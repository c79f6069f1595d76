package tbconfig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/connector"
)

// A Problem is something in the configuration that does not work, or that has no
// effect.
type Problem struct {
	File         string
	Line, Column int    // from 1; zero: not known
	Key          string // such as "mapping[2].converter.type"; may be empty
	Text         string
	Harmless     bool // it has no effect, and all else works
}

// String returns the problem in the form file:line:column: key: text.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Harmless {
		b.WriteString("warning: ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Check reads the configuration at path as Load does, and returns all that is
// wrong with it, by file and place. It opens neither the event store nor a
// connection.
func Check(path string, types ...connector.Type) []Problem {
	set, err := connector.NewSet(types...)
	if err != nil {
		return []Problem{{File: path, Text: err.Error()}}
	}
	path = mainFile(path)
	raw, err := readText(path)
	var f File
	if err == nil {
		err = decode(path, raw, &f)
	}
	if err != nil {
		return []Problem{readProblem(path, err)}
	}
	c := &checker{file: path, raw: raw, at: places(raw)}
	dir := filepath.Dir(path)
	quiet := slog.New(slog.DiscardHandler)
	if err := f.prepare(os.Getenv); err != nil {
		c.add(err)
	}
	if _, err := f.client(dir, quiet); err != nil {
		c.add(err)
	}
	if _, err := f.policy(slog.New(c)); err != nil {
		c.add(err)
	}
	if _, err := f.ThingsBoard.Filtering.filter(dir); err != nil {
		c.add(err)
	}
	if _, err := f.Storage.opener(quiet); err != nil {
		c.add(err)
	}
	warnIgnored(f.ignored(false), slog.New(c))
	for i, e := range f.Connectors {
		c.connector(dir, set, i, e)
	}
	for i, e := range f.Connectors {
		if slices.ContainsFunc(f.Connectors[:i], func(other Entry) bool { return other.Name == e.Name && e.Name != "" }) {
			c.add(fmt.Errorf("connectors[%d].name: %q is used twice", i, e.Name))
		}
	}
	return c.problems
}

// readProblem is the problem of a file that cannot be read or is not JSON.
func readProblem(path string, err error) Problem {
	p := Problem{File: path, Text: err.Error()}
	if errors.Is(err, os.ErrNotExist) {
		p.Text = "there is no such file"
		return p
	}
	rest, ok := strings.CutPrefix(p.Text, path)
	if m := place3.FindStringSubmatch(rest); ok && m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column, _ = strconv.Atoi(m[2])
		p.Text = m[3]
	}
	return p
}

var place3 = regexp.MustCompile(`^:(\d+):(\d+): (.*)$`)

// A checker collects the problems of one file. It is the slog.Handler of those
// who log what has no effect.
type checker struct {
	file     string
	raw      []byte
	at       map[string]int64
	problems []Problem
}

// connector checks a connector and its file.
func (c *checker) connector(dir string, set connector.Set, i int, e Entry) {
	if _, ok := set[e.typeIn(set)]; !ok {
		c.add(fmt.Errorf("connectors[%d].type: %q is not linked into this program, which has %s", i, e.Type, set))
		return
	}
	file := &checker{file: c.file, raw: c.raw, at: c.at}
	if e.Configuration != "" {
		file.file = resolve(dir, e.Configuration)
		raw, err := readText(file.file)
		if err != nil {
			c.add(fmt.Errorf("connectors[%d].configuration: %w", i, err))
			return
		}
		file.raw = raw
		file.at = places(file.raw)
	}
	content := e.Inline
	if e.Configuration != "" {
		content = file.raw
	}
	var valid json.RawMessage
	err := decode(file.file, content, &valid)
	if len(content) == 0 {
		err = nil // which the connector finds
	}
	if err == nil {
		_, _, err = e.connector(content, dir, set, slog.New(file))
	}
	if err != nil {
		switch prefix := cmp.Or(e.Configuration, "configurationJson") + ": "; {
		case strings.HasPrefix(err.Error(), prefix):
			file.add(errors.New(strings.TrimPrefix(err.Error(), prefix)))
		case strings.HasPrefix(err.Error(), file.file+":"):
			file.problems = append(file.problems, readProblem(file.file, err))
		default:
			c.add(fmt.Errorf("connectors[%d]: %w", i, err))
		}
	}
	c.problems = append(c.problems, file.problems...)
}

// add adds the problems that err, which may join several, tells of.
func (c *checker) add(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		c.addLine(line, false)
	}
}

// inFront matches the names of a connector and of a package before a key.
var inFront = regexp.MustCompile(`^(connector "[^"]*" \([^)]*\)|[a-z0-9]+): `)

func (c *checker) addLine(text string, harmless bool) {
	p := Problem{File: c.file, Text: text, Harmless: harmless}
	for rest := text; ; {
		if key, offset := keyOf(rest, c.at); key != "" {
			p.Key, p.Text = key, strings.TrimPrefix(rest[len(key):], ": ")
			p.Line, p.Column = lineCol(c.raw, offset)
			break
		}
		prefix := inFront.FindString(rest)
		if prefix == "" {
			break
		}
		rest = rest[len(prefix):]
	}
	c.problems = append(c.problems, p)
}

// Enabled implements slog.Handler.
func (c *checker) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (c *checker) Handle(_ context.Context, r slog.Record) error {
	key, text := "", r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "key" {
			key = a.Value.String()
			return true
		}
		text += fmt.Sprintf(" (%s: %v)", a.Key, a.Value)
		return true
	})
	if key != "" {
		text = key + ": " + text
	}
	c.addLine(text, true)
	return nil
}

// WithAttrs implements slog.Handler.
func (c *checker) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c *checker) WithGroup(string) slog.Handler { return c }
