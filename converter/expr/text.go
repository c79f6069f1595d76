package expr

import (
	"bytes"
	"math"
	"strconv"

	"github.com/valyala/fastjson"
)

// AppendText appends the text of v to dst, as it appears in a template: the
// contents of a string, a number in its shortest form (with a decimal point if
// it was written with one), and the JSON of anything else.
func AppendText(dst []byte, v *fastjson.Value) []byte {
	switch v.Type() {
	case fastjson.TypeString:
		return append(dst, v.GetStringBytes()...)
	case fastjson.TypeNumber:
		start := len(dst)
		dst = v.MarshalTo(dst)
		return normalizeNumber(dst, start)
	default:
		return v.MarshalTo(dst)
	}
}

// normalizeNumber rewrites the number that starts at dst[start] in the form in
// which Python prints it, which is what templates have always yielded.
func normalizeNumber(dst []byte, start int) []byte {
	raw := dst[start:]
	if !bytes.ContainsAny(raw, ".eE") {
		return dst
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return dst
	}
	return appendFloat(dst[:start], f)
}

func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}
