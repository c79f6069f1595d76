package opcua

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/ua"
)

// separator stands between the segments of a path, since names may hold dots.
const separator = `\.`

// root is the first segment of paths from the root.
const root = "Root"

// rootID and objectsID are the nodes where trees start (Part 5, 8.2).
const (
	rootID    = 84
	objectsID = 85
)

// A segment is one step of a path.
type segment struct {
	namespace int // -1: any
	name      string
	pattern   *regexp.Regexp // nil: name is literal
}

// matches returns those of children that s means: the ones of exactly its name,
// or else the ones that its pattern matches.
func (s segment) matches(children []child) (found []child) {
	for _, c := range children {
		if c.name == s.name && s.in(c) {
			found = append(found, c)
		}
	}
	if found != nil || s.pattern == nil {
		return found
	}
	for _, c := range children {
		if s.in(c) && s.pattern.MatchString(c.name) {
			found = append(found, c)
		}
	}
	return found
}

func (s segment) in(c child) bool { return s.namespace < 0 || s.namespace == int(c.namespace) }

// An address says where a node is: an identifier, or a path from the root or from
// the node of a device.
type address struct {
	text     string
	id       *ua.NodeID // nil: there is a path, or uri
	uri      string     // namespace URI of the identifier that text ends with
	absolute bool
	path     []segment
}

var identifier = regexp.MustCompile(`^(?:ns=([0-9]+);)?([isgb])=(.+)$`)

// uriIdentifier is an identifier whose namespace is named rather than numbered.
var uriIdentifier = regexp.MustCompile(`^nsu=([^;]*);([isgb]=.+)$`)

// parseAddress reads the text of an address. It may be wrapped as ${...}.
func parseAddress(text string) (address, error) {
	a := address{text: text}
	s := unwrap(text)
	if s == "" {
		return a, errors.New("is empty")
	}
	if m := uriIdentifier.FindStringSubmatch(s); m != nil {
		a.uri = m[1]
		_, err := parseNodeID(m[2])
		return a, err
	}
	if identifier.MatchString(s) {
		var err error
		a.id, err = parseNodeID(s)
		return a, err
	}
	names := strings.Split(s, separator)
	if names[0] == root || names[0] == "0:"+root {
		a.absolute, names = true, names[1:]
	}
	for _, name := range names {
		seg, err := parseSegment(name)
		if err != nil {
			return a, err
		}
		a.path = append(a.path, seg)
	}
	return a, nil
}

// parsePattern reads the node of a mapping, whose segments may be patterns.
func parsePattern(text string) (address, error) {
	a, err := parseAddress(text)
	if err != nil {
		return a, err
	}
	if a.id == nil && a.uri == "" && !a.absolute {
		return a, fmt.Errorf(`%q does not start with Root\. and is not a node identifier`, text)
	}
	for i, seg := range a.path {
		if !strings.ContainsAny(seg.name, `\*+?[](){}|^$`) {
			continue
		}
		// What is no pattern is a name with such characters.
		if re, err := regexp.Compile("^(?:" + seg.name + ")$"); err == nil {
			a.path[i].pattern = re
		}
	}
	return a, nil
}

func parseSegment(s string) (segment, error) {
	if s == "" {
		return segment{}, errors.New("has an empty segment")
	}
	if ns, name, ok := strings.Cut(s, ":"); ok && name != "" {
		if n, err := strconv.ParseUint(ns, 10, 16); err == nil {
			return segment{namespace: int(n), name: name}, nil
		}
	}
	return segment{namespace: -1, name: s}, nil
}

// unwrap returns the text in ${...}.
func unwrap(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "${") && strings.HasSuffix(s, "}") {
		return strings.TrimSpace(s[2 : len(s)-1])
	}
	return s
}

func parseNodeID(s string) (*ua.NodeID, error) {
	m := identifier.FindStringSubmatch(s)
	if m == nil {
		return nil, fmt.Errorf("%q is not a node identifier", s)
	}
	var ns uint64
	if m[1] != "" {
		var err error
		if ns, err = strconv.ParseUint(m[1], 10, 16); err != nil {
			return nil, fmt.Errorf("%q: the namespace is not a number from 0 to 65535", s)
		}
	}
	switch m[2] {
	case "i":
		n, err := strconv.ParseUint(m[3], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q: the identifier is not a number from 0 to 4294967295", s)
		}
		return ua.NewNumericNodeID(uint16(ns), uint32(n)), nil
	case "g":
		if ua.NewGUID(m[3]) == nil {
			return nil, fmt.Errorf("%q: the identifier is not a GUID", s)
		}
		return ua.NewGUIDNodeID(uint16(ns), m[3]), nil
	case "b":
		b, err := base64.StdEncoding.DecodeString(m[3])
		if err != nil {
			return nil, fmt.Errorf("%q: the identifier is not in base64", s)
		}
		return ua.NewByteStringNodeID(uint16(ns), b), nil
	default:
		return ua.NewStringNodeID(uint16(ns), m[3]), nil
	}
}

// fixed returns the identifier of an address that is one, or nil if it is a path.
func (a address) fixed(namespaces []string) (*ua.NodeID, error) {
	if a.uri == "" {
		return a.id, nil
	}
	for i, uri := range namespaces {
		if uri == a.uri {
			m := uriIdentifier.FindStringSubmatch(unwrap(a.text))
			return parseNodeID(fmt.Sprintf("ns=%d;%s", i, m[2]))
		}
	}
	return nil, fmt.Errorf("the server has no namespace %q", a.uri)
}

// A template is text with the values of nodes in it.
type template struct {
	texts []string // one more than nodes
	nodes []address
}

// parseTemplate splits the text of a name. A node identifier may hold braces, but
// not a closing one.
func parseTemplate(s string) (template, error) {
	var t template
	for {
		before, rest, ok := strings.Cut(s, "${")
		if !ok {
			t.texts = append(t.texts, s)
			return t, nil
		}
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return t, fmt.Errorf("%q: ${ has no end", s)
		}
		a, err := parseAddress(inner)
		if err != nil {
			return t, fmt.Errorf("${%s}: %w", inner, err)
		}
		a.text = "${" + inner + "}"
		t.texts, t.nodes = append(t.texts, before), append(t.nodes, a)
		s = after
	}
}

// fill returns the text with the values in place.
func (t template) fill(values []string) string {
	var b strings.Builder
	for i, s := range t.texts {
		b.WriteString(s)
		if i < len(values) {
			b.WriteString(values[i])
		}
	}
	return b.String()
}
