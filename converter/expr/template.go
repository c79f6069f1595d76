package expr

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// A Template is a text with ${path} placeholders.
type Template struct {
	text  string
	parts []part
}

type part struct {
	literal string
	path    *Path // nil: literal counts
	at      int   // offset of the path in the text
}

// Compile compiles text. Every text is a template: a "${" without its "}" stands
// for itself, and [Template.Check] reports what is probably a mistake.
func Compile(text string) *Template {
	t := &Template{text: text}
	for rest := text; rest != ""; {
		at := len(text) - len(rest)
		before, after, found := strings.Cut(rest, "${")
		inner, tail, closed := strings.Cut(after, "}")
		if !found || !closed {
			t.parts = append(t.parts, part{literal: rest})
			break
		}
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
		}
		t.parts = append(t.parts, part{path: CompilePath(inner), at: at + len(before) + len("${") + len(inner) - len(strings.TrimLeftFunc(inner, unicode.IsSpace))})
		rest = tail
	}
	return t
}

// Check returns an error if t has a placeholder that can never have a value. It
// names the text and, if the text between the braces is not a path, the column.
func (t *Template) Check() error {
	var problems []error
	for _, p := range t.parts {
		switch {
		case p.path == nil && strings.Contains(p.literal, "${"):
			problems = append(problems, fmt.Errorf("%q: a placeholder is not closed", t.text))
		case p.path != nil && p.path.text == "":
			problems = append(problems, fmt.Errorf("%q: a placeholder is empty", t.text))
		case p.path != nil && strings.Contains(p.path.text, "${"):
			problems = append(problems, fmt.Errorf("%q: a placeholder is inside another", t.text))
		case p.path != nil && p.path.mistaken():
			problems = append(problems, t.pathError(p))
		}
	}
	return errors.Join(problems...)
}

// pathError returns the error of p's path with its column in the whole text.
func (t *Template) pathError(p part) error {
	err := p.path.err
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		before := utf8.RuneCountInString(t.text[:p.at])
		return &SyntaxError{Text: t.text, Column: before + syntax.Column, Reason: syntax.Reason}
	}
	return err
}

// String returns the text that t was compiled from.
func (t *Template) String() string { return t.text }

// Constant reports whether t has no placeholder.
func (t *Template) Constant() bool {
	for _, p := range t.parts {
		if p.path != nil {
			return false
		}
	}
	return true
}

// Path returns the path of a template that is one placeholder and nothing else,
// and nil for any other.
func (t *Template) Path() *Path {
	if len(t.parts) != 1 {
		return nil
	}
	return t.parts[0].path
}

// Paths returns the paths of all placeholders, in order.
func (t *Template) Paths() []*Path {
	var paths []*Path
	for _, p := range t.parts {
		if p.path != nil {
			paths = append(paths, p.path)
		}
	}
	return paths
}

// Append appends the text of t for the message root to dst. It reports false if
// a placeholder is missing.
func (t *Template) Append(dst []byte, root *fastjson.Value) ([]byte, bool) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.path == nil {
			dst = append(dst, p.literal...)
			continue
		}
		v := p.path.First(root)
		if v == nil || v.Type() == fastjson.TypeNull {
			return dst, false
		}
		dst = AppendText(dst, v)
	}
	return dst, true
}

// Expand returns the text of t with each placeholder replaced by what lookup
// returns for its text. The argument inQuotes of lookup is true if the
// placeholder stands directly between double quotes. The first error of lookup
// ends Expand.
func (t *Template) Expand(lookup func(name string, inQuotes bool) (string, error)) (string, error) {
	var b strings.Builder
	for i, p := range t.parts {
		if p.path == nil {
			b.WriteString(p.literal)
			continue
		}
		s, err := lookup(p.path.text, t.inQuotes(i))
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func (t *Template) inQuotes(i int) bool {
	return i > 0 && i+1 < len(t.parts) &&
		strings.HasSuffix(t.parts[i-1].literal, `"`) && strings.HasPrefix(t.parts[i+1].literal, `"`)
}
