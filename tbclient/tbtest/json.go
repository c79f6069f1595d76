package tbtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of documents.
const maxDepth = 500

var (
	errEnd     = errors.New("tbtest: JSON ends early")
	errSyntax  = errors.New("tbtest: JSON syntax")
	errDeep    = errors.New("tbtest: JSON is nested too deeply")
	errMissing = errors.New("tbtest: JSON document is empty")
)

// parseJSON reads a document as the platform does: strings in single quotes or
// without quotes, comments, = for : and ; for , are taken; a comma before a
// closing brace and text after the document are not.
func parseJSON(data []byte) (node, error) {
	r := reader{s: string(data)}
	if r.space(); r.at == len(r.s) {
		return node{}, errMissing
	}
	n, err := r.value(0)
	if err != nil {
		return node{}, err
	}
	if r.space(); r.at != len(r.s) {
		return node{}, r.fail("text after the document")
	}
	return n, nil
}

type reader struct {
	s  string
	at int
}

func (r *reader) fail(what string) error {
	return fmt.Errorf("%w at %d: %s", errSyntax, r.at, what)
}

// peek returns the next character after blanks and comments, or 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.at == len(r.s) {
		return 0
	}
	return r.s[r.at]
}

// space skips blanks and comments.
func (r *reader) space() {
	for r.at < len(r.s) {
		rest := r.s[r.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			r.at++
		case rest[0] == '#' || strings.HasPrefix(rest, "//"):
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				end = len(rest)
			}
			r.at += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return
			}
			r.at += end + 4
		default:
			return
		}
	}
}

func (r *reader) value(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errDeep
	}
	switch c := r.peek(); c {
	case 0:
		if r.at == len(r.s) {
			return node{}, errEnd
		}
		return r.literal()
	case '{':
		r.at++
		return r.object(depth)
	case '[':
		r.at++
		return r.array(depth)
	case '"', '\'':
		s, err := r.quoted()
		return node{kind: stringNode, text: s}, err
	default:
		return r.literal()
	}
}

func (r *reader) object(depth int) (node, error) {
	n := node{kind: objectNode}
	var members memberSet
	if r.peek() == '}' {
		r.at++
		return n, nil
	}
	for {
		name, err := r.name()
		if err != nil {
			return n, err
		}
		switch r.peek() {
		case ':':
			r.at++
		case '=':
			r.at++
			if r.at < len(r.s) && r.s[r.at] == '>' {
				r.at++
			}
		default:
			return n, r.fail("expected :")
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		members.set(name, v)
		switch c := r.peek(); {
		case c == '}':
			r.at++
			n.members = members.list
			return n, nil
		case c == ',' || c == ';':
			r.at++
		case r.at == len(r.s):
			return n, errEnd
		default:
			return n, r.fail("unterminated object")
		}
	}
}

func (r *reader) name() (string, error) {
	switch c := r.peek(); {
	case c == '"' || c == '\'':
		return r.quoted()
	case r.at == len(r.s):
		return "", errEnd
	case c == '}':
		return "", r.fail("expected name")
	}
	s := r.unquoted()
	if s == "" {
		return "", r.fail("expected name")
	}
	return s, nil
}

func (r *reader) array(depth int) (node, error) {
	n := node{kind: arrayNode}
	if r.peek() == ']' {
		r.at++
		return n, nil
	}
	for {
		switch c := r.peek(); c {
		case ',', ';': // a value that is left out is null
			r.at++
			n.items = append(n.items, node{})
			continue
		case ']': // after a comma
			r.at++
			n.items = append(n.items, node{})
			return n, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, v)
		switch c := r.peek(); {
		case c == ']':
			r.at++
			return n, nil
		case c == ',' || c == ';':
			r.at++
		case r.at == len(r.s):
			return n, errEnd
		default:
			return n, r.fail("unterminated array")
		}
	}
}

// unquoted reads up to a character that ends a literal.
func (r *reader) unquoted() string {
	start := r.at
	end := strings.IndexAny(r.s[start:], "/\\;#={}[]:, \t\f\r\n")
	if end < 0 {
		end = len(r.s) - start
	}
	r.at += end
	return r.s[start:r.at]
}

func (r *reader) literal() (node, error) {
	s := r.unquoted()
	switch {
	case s == "":
		return node{}, r.fail("expected value")
	case strings.EqualFold(s, "null"):
		return node{}, nil
	case strings.EqualFold(s, "true"), strings.EqualFold(s, "false"):
		return node{kind: boolNode, truth: strings.EqualFold(s, "true")}, nil
	case strictNumber(s):
		return node{kind: numberNode, text: s}, nil
	default:
		return node{kind: stringNode, text: s}, nil
	}
}

// strictNumber reports whether s is a number by the grammar of JSON.
func strictNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && digits(s) == len(s)
}

// digits counts the digits that s starts with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// quoted reads a string in quotes of either kind.
func (r *reader) quoted() (string, error) {
	quote := r.s[r.at]
	r.at++
	var b strings.Builder
	for r.at < len(r.s) {
		c := r.s[r.at]
		r.at++
		switch c {
		case quote:
			return b.String(), nil
		case '\\':
			if err := r.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errEnd
}

func (r *reader) escape(b *strings.Builder) error {
	if r.at == len(r.s) {
		return errEnd
	}
	c := r.s[r.at]
	r.at++
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case '"', '\'', '\\', '/', '\n':
		b.WriteByte(c)
	case 'u':
		return r.unicode(b)
	default:
		return r.fail("invalid escape sequence")
	}
	return nil
}

func (r *reader) unicode(b *strings.Builder) error {
	u, err := r.hex4()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(u) && strings.HasPrefix(r.s[r.at:], `\u`) {
		mark := r.at
		r.at += 2
		low, err := r.hex4()
		if err != nil {
			return err
		}
		if c := utf16.DecodeRune(u, low); c != utf8.RuneError {
			b.WriteRune(c)
			return nil
		}
		r.at = mark
	}
	b.WriteRune(u)
	return nil
}

func (r *reader) hex4() (rune, error) {
	if len(r.s)-r.at < 4 {
		return 0, errEnd
	}
	u, err := strconv.ParseUint(r.s[r.at:r.at+4], 16, 16)
	if err != nil {
		return 0, r.fail("invalid \\u sequence")
	}
	r.at += 4
	return rune(u), nil
}
