package socket

import (
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A pattern matches addresses, such as "10.0.0.7:4711" or "[::1]:4711".
type pattern struct {
	re      *regexp.Regexp // nil: any
	literal string         // the only address that matches, or empty
}

// glob matches patterns that are no regular expressions but for their stars.
var glob = regexp.MustCompile(`^[0-9A-Za-z.:*\[\]%-]*$`)

// compilePattern compiles a pattern with stars, or a regular expression. Without a
// port it is about all ports.
func compilePattern(text string) (pattern, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || text == "*" || text == "*:*":
		return pattern{}, nil
	case glob.MatchString(text) && !strings.Contains(text, "[0-9]") && !strings.Contains(text, ".*"+"."+".*"):
		if ip := net.ParseIP(text); ip != nil && strings.Contains(text, ":") {
			text = "[" + text + "]"
		}
		if !strings.Contains(text, ":") || strings.HasSuffix(text, "]") {
			text += ":*"
		}
		p := pattern{re: regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$")}
		if !strings.Contains(text, "*") {
			p.literal = text
		}
		return p, nil
	}
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return pattern{}, fmt.Errorf("%q is neither an address with stars nor a regular expression: %w", text, err)
	}
	return pattern{re: re}, nil
}

func (p pattern) match(addr string) bool { return p.re == nil || p.re.MatchString(addr) }

// A match tells which messages are of a kind.
type match struct {
	part *expr.Slices // nil: the start of the message
	want string
}

// compileMatch compiles "${[from:to]==text}". A text without a slice means messages
// that begin with it.
func compileMatch(text string) (*match, error) {
	inner := unwrap(text)
	part, want, ok := strings.Cut(inner, "==")
	if !ok {
		if inner == "" {
			return nil, fmt.Errorf("%q says nothing about the message", text)
		}
		return &match{want: inner}, nil
	}
	s, err := compileSlice(part)
	if err != nil {
		return nil, err
	}
	return &match{part: s, want: want}, nil
}

// compileSlice compiles "[from:to]" or "[n]", with "${" and "}" around it or not.
func compileSlice(text string) (*expr.Slices, error) {
	s, err := expr.CompileSlices(strings.TrimSpace(unwrap(text)))
	if err != nil {
		return nil, err
	}
	if !s.Single() {
		return nil, fmt.Errorf("%q is not a slice such as [0:3]", text)
	}
	return s, nil
}

func unwrap(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "${"); ok {
		return strings.TrimSuffix(inner, "}")
	}
	return text
}

// matches reports whether message is of the kind.
func (m *match) matches(message []byte) bool {
	if m.part == nil {
		return strings.HasPrefix(string(message), m.want)
	}
	b, ok := m.part.Bytes(message)
	return ok && string(b) == m.want
}
