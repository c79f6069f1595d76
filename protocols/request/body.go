package request

import (
	"strings"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A bodyTemplate is the template of a body.
type bodyTemplate struct {
	template *expr.Template
	document bool   // of JSON
	quoted   []bool // by placeholder: it is within a string of JSON
}

// compileBody compiles a template. One that begins as an object or a list of JSON is a
// document; it may be written as a literal of Python, as {'on': True}.
func compileBody(text string) bodyTemplate {
	b := bodyTemplate{template: expr.Compile(text)}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' {
		return b
	}
	b.document = true
	text, b.quoted = toJSON(text)
	b.template = expr.Compile(text)
	return b
}

// toJSON returns text with what is Python replaced by JSON, and for each placeholder
// whether it is within a string.
func toJSON(text string) (string, []bool) {
	words := strings.NewReplacer("True", "true", "False", "false", "None", "null")
	var out, word strings.Builder
	var quoted []bool
	var quote byte // of the string that i is in; zero: none
	flush := func() {
		out.WriteString(words.Replace(word.String()))
		word.Reset()
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if strings.HasPrefix(text[i:], "${") {
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				end = len(text) - i - 1
			}
			flush()
			quoted = append(quoted, quote != 0)
			out.WriteString(text[i : i+end+1])
			i += end
			continue
		}
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			flush()
			quote = c
			out.WriteByte('"')
		case quote == 0:
			word.WriteByte(c)
		case c == quote:
			quote = 0
			out.WriteByte('"')
		case c == '"': // between single quotes
			out.WriteString(`\"`)
		case c == '\\' && i+1 < len(text):
			i++
			if text[i] != '\'' {
				out.WriteByte(c)
			}
			out.WriteByte(text[i])
		default:
			out.WriteByte(c)
		}
	}
	flush()
	return out.String(), quoted
}

// expand returns the body. In a document of JSON values are encoded as JSON; anywhere
// else they are texts.
func (b bodyTemplate) expand(look lookup) (string, error) {
	i := -1
	return b.template.Expand(func(name string, _ bool) (string, error) {
		i++
		v, err := look(name)
		switch {
		case err != nil || !b.document:
			return v.text, err
		case i < len(b.quoted) && b.quoted[i]:
			return inner(v.text), nil
		default:
			return v.json, nil
		}
	})
}

// inner returns the text of a JSON string without its quotes.
func inner(s string) string {
	q := telemetry.AppendString(nil, s)
	return string(q[1 : len(q)-1])
}
