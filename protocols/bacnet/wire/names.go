package wire

import (
	"strconv"
	"strings"
)

// names is a table of numbers and names: " 0:first 1:second", each entry behind a
// blank and before a blank or the end of a line. It is a constant, so that it costs
// no memory of its own, and short enough to be searched.
type names string

// name returns the name of n as a part of the table.
func (t names) name(n uint32) (string, bool) {
	var buf [12]byte
	key := strconv.AppendUint(append(buf[:0], ' '), uint64(n), 10)
	i := strings.Index(string(t), string(append(key, ':')))
	if i < 0 {
		return "", false
	}
	s := string(t[i+len(key)+1:])
	return s[:strings.IndexAny(s, " \n")], true
}

// number returns the number of name, which is in the form of the table.
func (t names) number(name string) (uint32, bool) {
	if name == "" || strings.ContainsAny(name, " :\n") {
		return 0, false
	}
	for s := string(t); ; {
		i := strings.Index(s, ":"+name)
		if i < 0 {
			return 0, false
		}
		end := i + 1 + len(name)
		if c := s[end]; c == ' ' || c == '\n' {
			n, err := strconv.ParseUint(s[strings.LastIndexByte(s[:i], ' ')+1:i], 10, 32)
			return uint32(n), err == nil
		}
		s = s[end:]
	}
}

// text returns the name of n, or its digits.
func (t names) text(n uint32) string {
	if s, ok := t.name(n); ok {
		return s
	}
	return strconv.FormatUint(uint64(n), 10)
}

// find returns the number that s stands for: a name in the form present-value or
// presentValue, or digits.
func (t names) find(s string) (uint32, bool) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return uint32(n), true
	}
	return t.number(Kebab(s))
}

// Kebab returns a name in the form present-value of one in the form presentValue.
func Kebab(s string) string {
	if strings.ToLower(s) == s {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		c := s[i]
		if c < 'A' || c > 'Z' {
			b = append(b, c)
			continue
		}
		follows := i > 0 && s[i-1] != '-' && (s[i-1] < 'A' || s[i-1] > 'Z')
		starts := i > 0 && i+1 < len(s) && s[i-1] >= 'A' && s[i-1] <= 'Z' && s[i+1] >= 'a' && s[i+1] <= 'z'
		if follows || starts {
			b = append(b, '-')
		}
		b = append(b, c+'a'-'A')
	}
	return string(b)
}

// Camel returns a name in the form presentValue of one in the form present-value.
func Camel(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, "-") {
		if i > 0 && part != "" {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}
