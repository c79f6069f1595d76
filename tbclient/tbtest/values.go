package tbtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// A keyed value as the platform stores it: nil is skipped; otherwise bool,
// int64, float64, string, or json.RawMessage for an object or array.
type keyed struct {
	key   string
	value any
}

// An element is what the platform makes of one element of telemetry.
type element struct {
	ts     int64
	hasTS  bool // otherwise the time is the server's
	values []keyed
}

var errForm = errors.New("tbtest: the platform cannot parse the value")

// stored converts a value as the platform does. Strings that look like numbers
// become numbers.
func stored(n node) any {
	switch n.kind {
	case nullNode:
		return nil
	case boolNode:
		return n.truth
	case numberNode:
		return storedNumber(n.text)
	case stringNode:
		if castable(n.text) {
			return storedNumber(asciiDigits(n.text))
		}
		return n.text
	default:
		return json.RawMessage(appendNode(nil, n))
	}
}

// storedValues converts the members of an object.
func storedValues(n node) []keyed {
	out := make([]keyed, 0, len(n.members))
	for _, m := range n.members {
		if v := stored(m.value); v != nil {
			out = append(out, keyed{m.name, v})
		}
	}
	return out
}

// castable reports whether a string is taken for a number: an optional minus,
// digits of any script, and at most one point, not at the end.
func castable(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if s == "" || strings.HasSuffix(s, ".") || strings.Count(s, ".") > 1 {
		return false
	}
	for _, c := range s {
		if c != '.' && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}

// asciiDigits replaces the digits of other scripts.
func asciiDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < unicode.MaxASCII || !unicode.IsDigit(c) {
			return c
		}
		zero := c // the digits of a script are in one row, which starts at a zero
		for zero > 0 && unicode.IsDigit(zero-1) && c-zero < 9 {
			zero--
		}
		return '0' + (c - zero)
	}, s)
}

// A decimal is a number as written: digits / 10^scale.
type decimal struct {
	negative bool
	digits   string
	scale    int
}

// maxScale bounds the numbers that are written out.
const maxScale = 5000

func parseDecimal(s string) (decimal, bool) {
	d := decimal{negative: strings.HasPrefix(s, "-")}
	s = strings.TrimPrefix(s, "-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exp, err := strconv.Atoi(s[i+1:])
		if err != nil || exp > maxScale || exp < -maxScale {
			return d, false
		}
		d.scale, s = -exp, s[:i]
	}
	whole, frac, _ := strings.Cut(s, ".")
	d.digits = strings.TrimLeft(whole+frac, "0")
	d.scale += len(frac)
	if d.digits == "" {
		d.digits = "0"
	}
	return d, true
}

// integral reports whether d has no fraction.
func (d decimal) integral() bool {
	trimmed := strings.TrimRight(d.digits, "0")
	return trimmed == "" || d.scale-(len(d.digits)-len(trimmed)) <= 0
}

// plain writes d without an exponent.
func (d decimal) plain() string {
	s := d.digits
	switch {
	case d.scale <= 0:
		if s != "0" {
			s += strings.Repeat("0", -d.scale)
		}
	case len(s) <= d.scale:
		s = "0." + strings.Repeat("0", d.scale-len(s)) + s
	default:
		s = s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
	}
	if d.negative && strings.Trim(s, "0.") != "" {
		s = "-" + s
	}
	return s
}

// storedNumber decides between a long, a double and a string.
func storedNumber(s string) any {
	d, ok := parseDecimal(s)
	if !ok {
		return s
	}
	simple := strings.Contains(s, ".") && !strings.ContainsAny(s, "eE")
	if d.integral() && !simple {
		whole, _, _ := strings.Cut(d.plain(), ".")
		if i, err := strconv.ParseInt(whole, 10, 64); err == nil {
			return i
		}
		return d.plain()
	}
	if d.scale > 16 {
		return d.plain()
	}
	f, err := strconv.ParseFloat(d.plain(), 64)
	if err != nil {
		return s
	}
	return f
}

// asLong converts a time stamp.
func (n node) asLong() (int64, error) {
	switch n.kind {
	case stringNode:
		i, err := strconv.ParseInt(asciiDigits(n.text), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: ts %q", errForm, n.text)
		}
		return i, nil
	case numberNode:
		d, ok := parseDecimal(n.text)
		if !ok {
			return 0, nil
		}
		whole, _, _ := strings.Cut(d.plain(), ".")
		b, ok := new(big.Int).SetString(whole, 10)
		if !ok {
			return 0, nil
		}
		return int64(new(big.Int).And(b, new(big.Int).SetUint64(1<<64-1)).Uint64()), nil
	default:
		return 0, fmt.Errorf("%w: ts is not a number", errForm)
	}
}

// parseElement converts an object of telemetry: {"ts", "values"} or plain keys.
func parseElement(n node) (element, error) {
	if n.kind != objectNode {
		return element{}, fmt.Errorf("%w: element is not an object", errForm)
	}
	ts, hasTS := n.member("ts")
	values, hasValues := n.member("values")
	if !hasTS || !hasValues {
		return element{values: storedValues(n)}, nil
	}
	if values.kind != objectNode {
		return element{}, fmt.Errorf("%w: values is not an object", errForm)
	}
	t, err := ts.asLong()
	if err != nil {
		return element{}, err
	}
	return element{ts: t, hasTS: true, values: storedValues(values)}, nil
}

// parseDeviceTelemetry converts what a device sends about itself.
func parseDeviceTelemetry(n node) ([]element, error) {
	if n.kind != arrayNode {
		e, err := parseElement(n)
		return []element{e}, err
	}
	var out []element
	for _, item := range n.items {
		e, err := parseElement(item)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// parseGatewayTelemetry converts what a gateway sends about one device. The
// metadata of an element is checked and not stored.
func parseGatewayTelemetry(n node) ([]element, error) {
	if n.kind != arrayNode {
		return nil, fmt.Errorf("%w: telemetry of a device is not an array", errForm)
	}
	var out []element
	for _, item := range n.items {
		meta, ok := item.member("metadata")
		if ok {
			if err := checkMetadata(meta); err != nil {
				return nil, err
			}
			item = item.without("metadata")
		}
		e, err := parseElement(item)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func checkMetadata(n node) error {
	if n.kind != objectNode {
		return fmt.Errorf("%w: metadata is not an object", errForm)
	}
	for _, key := range []string{"connector", "receivedTs", "publishedTs"} {
		v, ok := n.member(key)
		if !ok {
			return fmt.Errorf("%w: metadata without %s", errForm, key)
		}
		if key == "connector" {
			continue
		}
		if _, err := v.asLong(); err != nil {
			return err
		}
	}
	return nil
}

func (n node) without(name string) node {
	out := node{kind: n.kind}
	for _, m := range n.members {
		if m.name != name {
			out.members = append(out.members, m)
		}
	}
	return out
}

// parseAttributes converts the attributes of a device.
func parseAttributes(n node) ([]keyed, error) {
	if n.kind != objectNode {
		return nil, fmt.Errorf("%w: attributes are not an object", errForm)
	}
	return storedValues(n), nil
}

// appendNode writes n as compact JSON. Numbers keep their text.
func appendNode(b []byte, n node) []byte {
	switch n.kind {
	case nullNode:
		return append(b, "null"...)
	case boolNode:
		return strconv.AppendBool(b, n.truth)
	case numberNode:
		return append(b, n.text...)
	case stringNode:
		return appendString(b, n.text)
	case arrayNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendNode(b, item)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i, m := range n.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.name), ':')
			b = appendNode(b, m.value)
		}
		return append(b, '}')
	}
}

// appendString writes s as a JSON string.
func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, q...)
}
