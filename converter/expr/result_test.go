package expr_test

import (
	"math"
	"testing"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestResultsHaveTheTypeAskedFor(t *testing.T) {
	list, err := telemetry.JSON([]byte("[1,2.5,null]"))
	if err != nil {
		t.Fatal(err)
	}
	items := expr.ListOf(expr.IntOf(1), expr.FloatOf(2.5), expr.NoneOperand())
	for _, c := range []struct {
		operand   expr.Operand
		typ       string
		want      telemetry.Value
		outcome   expr.Outcome
		reference telemetry.Value
	}{
		{expr.IntOf(5), "", telemetry.Int(5), expr.Converted, telemetry.Int(5)},
		{expr.IntOf(5), "double", telemetry.Float(5), expr.Converted, telemetry.Float(5)},
		{expr.IntOf(5), "string", telemetry.String("5"), expr.Converted, telemetry.String("5")},
		{expr.IntOf(1), "bool", telemetry.Bool(true), expr.Converted, telemetry.Bool(true)},
		{expr.FloatOf(2.9), "int", telemetry.Int(2), expr.Converted, telemetry.Int(2)},
		{expr.FloatOf(2), "", telemetry.Float(2), expr.Converted, telemetry.Float(2)},
		{expr.FloatOf(2), "string", telemetry.String("2.0"), expr.Converted, telemetry.String("2.0")},
		{expr.FloatOf(1e300), "int", telemetry.String("1e+300"), expr.Kept, telemetry.Value{}},
		{expr.BoolOf(true), "int", telemetry.Int(1), expr.Converted, telemetry.Int(1)},
		{expr.BoolOf(true), "", telemetry.Bool(true), expr.Converted, telemetry.Bool(true)},
		{expr.BoolOf(true), "string", telemetry.String("true"), expr.Converted, telemetry.String("True")},
		{expr.TextOf("5.5"), "int", telemetry.Int(5), expr.Converted, telemetry.Int(5)},
		{expr.TextOf("x"), "int", telemetry.String("x"), expr.Kept, telemetry.String("x")},
		{expr.BytesOf([]byte{1, 0xab}), "", telemetry.String("01ab"), expr.Converted, telemetry.String("01ab")},
		{items, "json", list, expr.Converted, list},
		{items, "string", telemetry.String("[1,2.5,null]"), expr.Converted, telemetry.String("[1, 2.5, None]")},
		{expr.NoneOperand(), "int", telemetry.Value{}, expr.Missing, telemetry.Value{}},
		{expr.Operand{}, "", telemetry.Value{}, expr.Missing, telemetry.Value{}},
		{expr.FloatOf(math.Inf(1)), "double", telemetry.Value{}, expr.Missing, telemetry.Value{}},
		{expr.FloatOf(math.NaN()), "string", telemetry.Value{}, expr.Missing, telemetry.Value{}},
	} {
		var s expr.Scratch
		got, outcome := s.Operand(c.operand, expr.TypeOf(c.typ))
		if got != c.want || outcome != c.outcome {
			t.Errorf("%v as %q: got %v, %v, want %v, %v", c.operand, c.typ, got, outcome, c.want, c.outcome)
		}
		s.Mode = expr.Reference
		if got, _ := s.Operand(c.operand, expr.TypeOf(c.typ)); got != c.reference && c.reference.Kind() != telemetry.KindNone {
			t.Errorf("%v as %q, as the reference: got %v, want %v", c.operand, c.typ, got, c.reference)
		}
	}
}

func TestTimesThatCannotBeReadAreToldApart(t *testing.T) {
	for _, c := range []struct {
		field, doc      string
		ms              int64
		unread          bool
		reference       int64
		referenceUnread bool
	}{
		{"", `{"ts":5}`, 5, false, 5, false},
		{"", `{}`, 0, false, 0, false},
		{"", `{"ts":null,"timestamp":6}`, 6, false, 6, false},
		{"", `{"ts":"soon","timestamp":6}`, 6, true, 6, true},
		{"", `{"ts":{}}`, 0, true, 0, true},
		{"at", `{"at":"soon"}`, 0, true, 0, false},
		{"at", `{"at":"soon","ts":7}`, 7, true, 7, false},
		{"at", `{"at":null,"ts":7}`, 7, false, 7, false},
		{"at", `{"at":1700000000,"ts":7}`, 1700000000000, false, 7, false},
		{"at", `{"at":"1700000000","ts":7}`, 1700000000000, false, 7, false},
		{"m.at", `{"m":{"at":"2024-01-02T00:00:00Z"}}`, 1704153600000, false, 1704153600000, false},
		{"m.at", `{"x":{"at":"2024-01-01T00:00:00Z"},"m":{"at":"2024-01-02T00:00:00Z"}}`, 1704153600000, false, 1704067200000, false},
		{"m.at", `[{"m":{"at":"2024-01-02T00:00:00Z"}},{"ts":8}]`, 1704153600000, false, 1704153600000, false},
		{"m.at", `[]`, 0, false, 0, false},
	} {
		f := expr.CompileTimeField(c.field, expr.TimeFormat{})
		root := parse(t, c.doc)
		if ms, unread := f.Read(root, expr.Recommended); ms != c.ms || unread != c.unread {
			t.Errorf("%q of %s: got %d, %v", c.field, c.doc, ms, unread)
		}
		if ms, unread := f.Read(root, expr.Reference); ms != c.reference || unread != c.referenceUnread {
			t.Errorf("%q of %s, as the reference: got %d, %v", c.field, c.doc, ms, unread)
		}
		if ms, ok := f.Find(root); ms != c.ms || ok != (c.ms != 0) {
			t.Errorf("%q of %s: found %d, %v", c.field, c.doc, ms, ok)
		}
	}
}
