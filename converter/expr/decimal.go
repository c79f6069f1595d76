package expr

import "math"

// A decimal is a number that was written with digits and perhaps a point.
type decimal struct {
	digits int64 // without the point
	places int   // behind the point
	point  bool
}

// readDecimal reads b. It reports false for what is no such number, or has more
// digits than an int64 holds for certain.
func readDecimal(b []byte) (d decimal, ok bool) {
	rest := b
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	if len(rest) == 0 || len(rest) > 19 {
		return decimal{}, false
	}
	for i, c := range rest {
		switch {
		case isDigit(c):
			d.digits = d.digits*10 + int64(c-'0')
		case c == '.' && !d.point && i > 0 && i+1 < len(rest):
			d.point, d.places = true, len(rest)-1-i
		default:
			return decimal{}, false
		}
	}
	if len(rest) == 19 && !d.point {
		return decimal{}, false
	}
	if b[0] == '-' {
		d.digits = -d.digits
	}
	return d, b[0] != '-' || d.digits != 0 // there is a float -0
}

// float returns d rounded correctly: both parts of the quotient are exact. It
// reports false if they are not.
func (d decimal) float() (float64, bool) {
	if d.digits > 1<<53 || d.digits < -1<<53 || d.places > 22 {
		return 0, false
	}
	return float64(d.digits) / math.Pow10(d.places), true
}
