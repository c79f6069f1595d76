package telemetry

import (
	"fmt"
	"math"
)

// An Aggregation makes one value of several.
type Aggregation uint8

// The aggregations, with the names that configuration files use. Text, booleans
// and documents cannot be calculated with: of those, all but AggregateCount yield
// the last one, and of values of both sorts those since the last change of sort.
const (
	AggregateLast  Aggregation = iota // LAST
	AggregateMin                      // MIN: the smallest, of its kind
	AggregateMax                      // MAX: the largest, of its kind
	AggregateAvg                      // AVG: the arithmetic mean, a double
	AggregateSum                      // SUM: an integer if all are and the sum fits, or a double
	AggregateCount                    // COUNT: how many there are, an integer
)

// String returns the name of a.
func (a Aggregation) String() string {
	names := [...]string{"LAST", "MIN", "MAX", "AVG", "SUM", "COUNT"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("Aggregation(%d)", uint8(a))
}

// Add adds next to acc, which stands for n values so far, and returns the same
// for all of them. An acc that stands for none is not looked at.
func (a Aggregation) Add(acc Value, n int, next Value) (Value, int) {
	switch {
	case n == 0 || a == AggregateLast || a == AggregateCount:
		return next, n + 1
	case !acc.numeric() || !next.numeric():
		return next, 1
	}
	switch a {
	case AggregateMin:
		if less(next, acc) {
			return next, n + 1
		}
		return acc, n + 1
	case AggregateMax:
		if less(acc, next) {
			return next, n + 1
		}
		return acc, n + 1
	default:
		return add(acc, next), n + 1
	}
}

// Result returns what acc, which Add has made of n values, amounts to. A sum
// beyond the range of doubles is not [Value.Valid].
func (a Aggregation) Result(acc Value, n int) Value {
	switch {
	case a == AggregateCount:
		return Int(int64(n))
	case a == AggregateAvg && acc.numeric() && n > 0:
		return Float(acc.Float() / float64(n))
	default:
		return acc
	}
}

func less(a, b Value) bool {
	if a.kind == KindInt && b.kind == KindInt {
		return a.Int() < b.Int()
	}
	return a.Float() < b.Float()
}

func add(a, b Value) Value {
	if a.kind == KindInt && b.kind == KindInt {
		x, y := a.Int(), b.Int()
		if y >= 0 && x <= math.MaxInt64-y || y < 0 && x >= math.MinInt64-y {
			return Int(x + y)
		}
	}
	return Float(a.Float() + b.Float())
}
