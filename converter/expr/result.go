package expr

import (
	"math"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// Operand converts what an [Expression] yields. None is missing, and so is a
// float that is infinite or not a number. As a number, True is 1 and False 0.
func (s *Scratch) Operand(o Operand, t Type) (telemetry.Value, Outcome) {
	if o.kind == BoolOperand && (t == Int || t == Float) {
		o = IntOf(o.int())
	}
	switch o.kind {
	case Undefined, None:
		return telemetry.Value{}, Missing
	case IntOperand:
		if v, ok := wholeResult(o, t); ok {
			return v, Converted
		}
	case FloatOperand:
		if f := o.float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return telemetry.Value{}, Missing
		}
		if v, ok := floatResult(o.float(), t); ok {
			return v, Converted
		}
	case TextOperand, BytesOperand: // their text follows
	default: // a bool or a list
		if t == Auto || t == JSON || t == Bool && o.kind == BoolOperand {
			v, ok := o.Value()
			if !ok {
				return telemetry.Value{}, Missing
			}
			return v, Converted
		}
	}
	return s.resultText(o, t)
}

func wholeResult(o Operand, t Type) (telemetry.Value, bool) {
	switch {
	case o.isLarge():
		return telemetry.Value{}, false
	case t == Float:
		return telemetry.Float(float64(o.int())), true
	case t == Auto || t == Int || t == JSON:
		return telemetry.Int(o.int()), true
	default:
		return telemetry.Value{}, false
	}
}

func floatResult(f float64, t Type) (telemetry.Value, bool) {
	switch t {
	case Auto, Float, JSON:
		return telemetry.Float(f), true
	case Int:
		n, ok := truncate(f)
		return telemetry.Int(n), ok
	default:
		return telemetry.Value{}, false
	}
}

// resultText converts the text of o.
func (s *Scratch) resultText(o Operand, t Type) (telemetry.Value, Outcome) {
	if s.Mode == Reference && t != Auto {
		s.buf = append(s.buf[:0], o.String()...)
		return s.referenceText(s.buf, t)
	}
	v, ok := o.Value()
	if !ok {
		return telemetry.Value{}, Missing
	}
	if o.kind == FloatOperand {
		s.buf = appendFloat(s.buf[:0], o.float())
	} else {
		s.buf = append(s.buf[:0], v.String()...)
	}
	return s.Text(s.buf, t)
}
