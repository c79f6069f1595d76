package mqtt

import (
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A formula is a value that is evaluated. Where the template with its placeholders
// is an expression, they are its variables. Any other template is filled in first,
// as the Python gateway always does, and then evaluated if it is an expression.
type formula struct {
	template *expr.Template
	path     *expr.Path       // of a template that is one placeholder
	compiled *expr.Expression // nil: the text has to be filled in
	paths    []*expr.Path     // of the variables
}

// newFormula compiles a template. It returns nil for a text, which is not
// evaluated.
func newFormula(t *expr.Template, typ expr.Type, compatible bool) *formula {
	f := &formula{template: t, path: t.Path()}
	if compatible {
		f.path = nil
	}
	if typ == expr.String && (compatible || f.path != nil) {
		return nil
	}
	if compatible || f.path != nil {
		return f
	}
	byName := make(map[string]*expr.Path)
	paths := t.Paths()
	text, _ := t.Expand(func(string, bool) (string, error) { // lookup has no errors
		name := "_placeholder_" + strconv.Itoa(len(byName))
		byName[name] = paths[len(byName)]
		return name, nil
	})
	e, err := expr.CompileExpression(text)
	if err != nil || len(e.Names()) != len(byName) {
		return f // a placeholder between quotes, for one, is not a variable
	}
	for _, name := range e.Names() {
		if byName[name] == nil {
			return f
		}
		f.paths = append(f.paths, byName[name])
	}
	f.compiled = e
	return f
}

// convert evaluates the value for the message root. What is no expression, or
// computes with texts that are none, is the text that it is; what fails otherwise,
// such as a division by zero, is missing.
func (f *formula) convert(doc *document, root *fastjson.Value, typ expr.Type) (telemetry.Value, expr.Outcome) {
	switch {
	case f.path != nil:
		return f.single(doc, root, typ)
	case f.compiled == nil:
		return f.fillIn(doc, root, typ)
	}
	doc.args = doc.args[:0]
	texts := false
	for _, p := range f.paths {
		v := p.First(root)
		if v == nil || v.Type() == fastjson.TypeNull {
			return telemetry.Value{}, expr.Missing
		}
		arg := operand(&doc.scratch, v)
		texts = texts || arg.Kind() == expr.TextOperand || arg.Kind() == expr.Undefined
		doc.args = append(doc.args, arg)
	}
	v, err := f.compiled.Eval(doc.args)
	switch {
	case err == nil:
		return doc.scratch.Operand(v, typ)
	case texts:
		return doc.scratch.Template(f.template, root, typ)
	default:
		return telemetry.Value{}, expr.Missing
	}
}

// single converts the value of a placeholder that stands alone. Only a text can be
// an expression.
func (f *formula) single(doc *document, root *fastjson.Value, typ expr.Type) (telemetry.Value, expr.Outcome) {
	v := f.path.First(root)
	if v != nil && v.Type() == fastjson.TypeString {
		if arg := operand(&doc.scratch, v); arg.Kind() != expr.TextOperand {
			return doc.scratch.Operand(arg, typ)
		}
	}
	return doc.scratch.Value(v, typ)
}

// fillIn evaluates the text that the template makes of the message.
func (f *formula) fillIn(doc *document, root *fastjson.Value, typ expr.Type) (telemetry.Value, expr.Outcome) {
	text, complete := doc.scratch.Fill(f.template, root)
	if complete || doc.scratch.Mode == expr.Reference {
		if v, ok := evaluate(string(text)); ok {
			return doc.scratch.Operand(v, typ)
		}
	}
	return doc.scratch.Template(f.template, root, typ)
}

// operand returns v as an operand. A text that is arithmetic is its result.
func operand(s *expr.Scratch, v *fastjson.Value) expr.Operand {
	if v.Type() != fastjson.TypeString {
		return s.OperandOfJSON(v)
	}
	text := s.Strings.String(v.GetStringBytes())
	if strings.Trim(text, " 0123456789.+-*/%()eE") == "" {
		if result, ok := evaluate(text); ok {
			return result
		}
	}
	return expr.TextOf(text)
}

// evaluate returns the result of a text that is an expression without variables.
func evaluate(text string) (expr.Operand, bool) {
	e, err := expr.CompileExpression(text)
	if err != nil || len(e.Names()) > 0 {
		return expr.Operand{}, false
	}
	v, err := e.Eval(nil)
	return v, err == nil
}
