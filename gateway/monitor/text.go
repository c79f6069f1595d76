package monitor

import (
	"math"
	"strconv"
)

// contentType is that of the text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// appendText appends families in the text format of Prometheus, version 0.0.4.
func appendText(dst []byte, families []Family) []byte {
	for i := range families {
		f := &families[i]
		dst = append(append(append(dst, "# HELP "...), f.Name...), ' ')
		dst = append(appendEscaped(dst, f.Help, false), '\n')
		dst = append(append(append(dst, "# TYPE "...), f.Name...), ' ')
		dst = append(append(dst, f.Type...), '\n')
		for j := range f.Samples {
			dst = appendSample(dst, f.Name, &f.Samples[j])
		}
	}
	return dst
}

func appendSample(dst []byte, name string, s *Sample) []byte {
	dst = append(dst, name...)
	for i, l := range s.Labels {
		if i == 0 {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(append(dst, l.Name...), '=', '"')
		dst = append(appendEscaped(dst, l.Value, true), '"')
	}
	if len(s.Labels) > 0 {
		dst = append(dst, '}')
	}
	return append(appendNumber(append(dst, ' '), s.Value), '\n')
}

func appendNumber(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return strconv.AppendInt(dst, int64(v), 10)
	default:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
}

// appendEscaped escapes what would end a line and, in quotes, the text.
func appendEscaped(dst []byte, text string, quoted bool) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '"' && quoted:
			dst = append(dst, '\\', '"')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
