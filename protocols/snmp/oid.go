package snmp

import (
	"fmt"
	"strconv"
	"strings"
)

// maxArcs is the most numbers of an object identifier (RFC 2578, section 3.5).
const maxArcs = 128

// parseOID returns the object identifier s, which may start with a dot, in the form
// that this package compares: 1.3.6.1.2.1.1.3.0.
func parseOID(s string) (string, error) {
	rest := strings.TrimPrefix(strings.TrimSpace(s), ".")
	var out []byte
	var first uint64
	n := 0
	for more := true; more; n++ {
		var arc string
		arc, rest, more = strings.Cut(rest, ".")
		x, err := strconv.ParseUint(arc, 10, 32)
		switch {
		case err != nil || n >= maxArcs:
			return "", fmt.Errorf("%q is not an object identifier", s)
		case n == 0 && x > 2 || n == 1 && first < 2 && x > 39:
			return "", fmt.Errorf("%q is not an object identifier: it starts with 0 to 2, and a number up to 39 follows 0 and 1", s)
		case n == 0:
			first = x
		default:
			out = append(out, '.')
		}
		out = strconv.AppendUint(out, x, 10)
	}
	if n < 2 {
		return "", fmt.Errorf("%q is not an object identifier", s)
	}
	return string(out), nil
}

// Names are symbolic names of objects, as those of a MIB: "sysUpTime" is
// "1.3.6.1.2.1.1.3".
type Names map[string]string

// resolve returns the object identifier that s is: numbers, a name, a name with
// numbers behind it (ifDescr.3), or these with the module before (IF-MIB::ifDescr.3).
func (n Names) resolve(s string) (string, error) {
	if oid, ok := n[s]; ok {
		return parseOID(oid)
	}
	name := s
	if _, after, ok := strings.Cut(s, "::"); ok {
		name = after
	}
	if name == "" || name[0] == '.' || name[0] >= '0' && name[0] <= '9' {
		return parseOID(name)
	}
	symbol, index, indexed := strings.Cut(name, ".")
	oid, ok := n[symbol]
	if !ok {
		return "", fmt.Errorf("%q is no name that the configuration knows", s)
	}
	if indexed {
		oid += "." + index
	}
	return parseOID(oid)
}

// plain returns an object identifier of an answer without its leading dot.
func plain(oid string) string { return strings.TrimPrefix(oid, ".") }

// below returns the numbers of oid behind root, or false if it is not below root.
func below(root, oid string) (index string, ok bool) {
	rest, ok := strings.CutPrefix(oid, root)
	if !ok || len(rest) < 2 || rest[0] != '.' {
		return "", false
	}
	return rest[1:], true
}

// before reports whether a comes before b in the order of objects.
func before(a, b string) bool {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if x == y {
			continue
		}
		if len(x) != len(y) {
			return len(x) < len(y)
		}
		return x < y
	}
	return a == "" && b != ""
}
