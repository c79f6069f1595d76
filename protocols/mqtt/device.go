package mqtt

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A document is a message and the memory to take values out of it: those that were
// found in it, or the whole, parsed.
type document struct {
	scanned bool // found counts, and root is nil
	found   expr.Found
	times   []int64 // by time series, of found

	parser  fastjson.Parser
	root    *fastjson.Value // nil: the payload is not JSON
	scratch expr.Scratch
	args    []expr.Operand
}

// parse parses payload, of which bytes that are not UTF-8 are left out. Values
// that nobody takes are not looked at closely: a malformed number costs only what
// is made of it.
func (d *document) parse(payload []byte) error {
	d.root = nil
	text := validUTF8(payload)
	root, err := d.parser.ParseBytes(text)
	if err != nil {
		return fmt.Errorf("payload is not JSON: %w", err)
	}
	d.root = root
	return nil
}

// A nameExpr is a compiled Expression.
type nameExpr struct {
	text     string
	constant bool
	legacy   bool           // placeholders without a value stay
	template *expr.Template // nil: topic counts
	field    *expr.Field    // template, if it can be found without parsing the message
	topic    *topicExpr
}

// name compiles an expression. With whole, an expression on the topic stands for
// its whole match, whatever groups it has.
func (p problems) name(key string, e Expression, whole bool) *nameExpr {
	n := &nameExpr{text: e.Text}
	if e.Source == FromTopic && e.Text != "" && regexp.QuoteMeta(e.Text) == e.Text {
		n.constant = true // as in the reference gateway, it stands for itself even where it does not match
		return n
	}
	if e.Source == FromTopic {
		n.topic = &topicExpr{re: p.regexp(key, e.Text), whole: whole}
		return n
	}
	n.template = expr.Compile(e.Text)
	n.constant = n.template.Constant()
	p.add(key, n.template.Check())
	return n
}

// addFields adds the expression to what is looked for in messages. It reports false if
// it needs the whole message.
func (n *nameExpr) addFields(f *expr.Fields) (ok bool) {
	if n.topic != nil || n.constant {
		return true
	}
	n.field, ok = f.AddTemplate(n.template)
	return ok
}

// resolve returns the text that the expression yields for root, which is doc or an
// element of it.
func (n *nameExpr) resolve(doc *document, root *fastjson.Value, topic string) (string, bool) {
	switch {
	case n.topic != nil:
		return n.topic.find(topic)
	case n.constant:
		return n.text, true
	case doc.scanned:
		return doc.scratch.FieldString(n.field, &doc.found)
	}
	text, ok := doc.scratch.String(n.template, root)
	if !ok && n.legacy {
		return legacyName(n.template, root), true
	}
	return text, ok
}

// legacyName returns the text of a template in which a placeholder without a value
// stays as it is.
func legacyName(t *expr.Template, root *fastjson.Value) string {
	paths := t.Paths()
	i := -1
	text, _ := t.Expand(func(name string, _ bool) (string, error) { // lookup has no errors
		i++
		v := paths[i].First(root)
		if v == nil {
			return "${" + name + "}", nil
		}
		return string(expr.AppendPythonText(nil, v)), nil
	})
	return text
}

// missing describes that the expression yields nothing.
func (n *nameExpr) missing(what string) error {
	if n.topic != nil {
		return fmt.Errorf("%s: %q does not match the topic", what, n.text)
	}
	return fmt.Errorf("%s: %q has no value in the message", what, n.text)
}

// A topicExpr is a regular expression on topics that remembers its results.
type topicExpr struct {
	re    *expr.Regexp
	whole bool

	mu    sync.RWMutex
	found map[string]topicMatch
}

type topicMatch struct {
	text string
	ok   bool
}

func (t *topicExpr) find(topic string) (string, bool) {
	t.mu.RLock()
	m, known := t.found[topic]
	t.mu.RUnlock()
	if known {
		return m.text, m.ok
	}
	topic = strings.Clone(topic)
	if t.whole {
		m.text, m.ok = t.re.FindWhole(topic)
	} else {
		m.text, m.ok = t.re.Find(topic)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found == nil || len(t.found) >= maxRoutes {
		t.found = make(map[string]topicMatch)
	}
	t.found[topic] = m
	return m.text, m.ok
}

// A deviceExpr is a compiled DeviceInfo.
type deviceExpr struct{ name, profile *nameExpr }

func (p problems) device(d DeviceInfo, whole bool) deviceExpr {
	if d.Name.Text == "" {
		p.add("deviceNameExpression", errors.New("is missing"))
	}
	return deviceExpr{
		name:    p.name("deviceNameExpression", d.Name, whole),
		profile: p.name("deviceProfileExpression", d.Profile, whole),
	}
}

// resolve returns the device that a message is about. Without a name there is
// none.
func (d deviceExpr) resolve(doc *document, root *fastjson.Value, topic string) (name, profile string, err error) {
	name, ok := d.name.resolve(doc, root, topic)
	if !ok || name == "" {
		return "", "", d.name.missing("device name")
	}
	if profile, ok = d.profile.resolve(doc, root, topic); !ok {
		return "", "", d.profile.missing("device profile")
	}
	return name, profile, nil
}
