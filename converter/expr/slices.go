package expr

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// slicePattern is what the reference gateway takes for a slice: one character
// that is not a blank, then digits and colons. So [-2:] is one, and [2:-2] and
// [ 0:1] are literal text.
var slicePattern = regexp.MustCompile(`\[\S[0-9:]*\]`)

// Slices is a text with [from:to] and [n] references to the bytes of a message.
type Slices struct {
	text  string
	parts []slicePart
}

type slicePart struct {
	literal  string
	bytes    bool // from and to count
	one      bool // a single byte, from
	from, to int
}

// CompileSlices compiles text. It fails for a slice with a step.
func CompileSlices(text string) (*Slices, error) {
	s := &Slices{text: text}
	rest := 0
	for _, at := range slicePattern.FindAllStringIndex(text, -1) {
		inner := text[at[0]+1 : at[1]-1]
		p, ok, err := parseReference(inner)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if at[0] > rest {
			s.parts = append(s.parts, slicePart{literal: text[rest:at[0]]})
		}
		s.parts = append(s.parts, p)
		rest = at[1]
	}
	if rest < len(text) {
		s.parts = append(s.parts, slicePart{literal: text[rest:]})
	}
	return s, nil
}

func parseReference(inner string) (p slicePart, ok bool, err error) {
	from, to, ranged := strings.Cut(inner, ":")
	if strings.Contains(to, ":") {
		return p, false, fmt.Errorf("slice [%s] has a step, which is not supported", inner)
	}
	p = slicePart{bytes: true, one: !ranged, to: openEnd}
	if from != "" {
		if p.from, err = strconv.Atoi(from); err != nil {
			return p, false, nil // literal text, such as the [C] of a key
		}
	}
	if to != "" {
		if p.to, err = strconv.Atoi(to); err != nil {
			return p, false, nil
		}
	}
	return p, true, nil
}

// String returns the text that s was compiled from.
func (s *Slices) String() string { return s.text }

// Constant reports whether s refers to no byte.
func (s *Slices) Constant() bool {
	for _, p := range s.parts {
		if p.bytes {
			return false
		}
	}
	return true
}

// Bytes returns the bytes of a text that is one slice and nothing else. It
// reports false for any other text, and if a single byte is outside the data.
// The result aliases data.
func (s *Slices) Bytes(data []byte) ([]byte, bool) {
	if len(s.parts) != 1 || !s.parts[0].bytes {
		return nil, false
	}
	return s.parts[0].cut(data)
}

// Append appends the text of s for the given data to dst: the bytes as UTF-8,
// or as lower-case hexadecimal digits. It reports false if a single byte is
// outside the data, or the bytes are not valid UTF-8.
func (s *Slices) Append(dst, data []byte, hexMode bool) ([]byte, bool) {
	for i := range s.parts {
		p := &s.parts[i]
		if !p.bytes {
			dst = append(dst, p.literal...)
			continue
		}
		b, ok := p.cut(data)
		if !ok {
			return dst, false
		}
		if hexMode {
			dst = hex.AppendEncode(dst, b)
			continue
		}
		if !utf8.Valid(b) {
			return dst, false
		}
		dst = append(dst, b...)
	}
	return dst, true
}

func (p *slicePart) cut(data []byte) ([]byte, bool) {
	if !p.one {
		from, to := bounds(p.from, p.to, len(data))
		return data[from:to], true
	}
	i := p.from
	if i < 0 {
		i += len(data)
	}
	if i < 0 || i >= len(data) {
		return nil, false
	}
	return data[i : i+1], true
}

// Single reports whether s is one slice and nothing else.
func (s *Slices) Single() bool { return len(s.parts) == 1 && s.parts[0].bytes }
