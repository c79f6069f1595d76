package expr_test

import (
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestUnitsOfUnixTimesAreToldByTheirMagnitude(t *testing.T) {
	for n, want := range map[int64]int64{
		0: 0, 1700000000: 1700000000000, 99_999_999_999: 99_999_999_999_000, -99_999_999_999: -99_999_999_999_000,
		100_000_000_000: 100_000_000_000, -100_000_000_000: -100_000_000_000, 99_999_999_999_999: 99_999_999_999_999,
		100_000_000_000_000: 100_000_000_000, 99_999_999_999_999_999: 99_999_999_999_999, 100_000_000_000_000_000: 100_000_000_000,
		-1 << 63: -9223372036854,
	} {
		if got := expr.Epoch(n); got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
}

func TestOffsetsOfTimes(t *testing.T) {
	for text, want := range map[string]int64{
		"2024-01-02T03:04:05Z": 1704164645000, "2024-01-02T03:04:05+02:00": 1704157445000, "2024-01-02T03:04:05-02:00": 1704171845000,
		"2024-01-02T03:04:05-0230": 1704173645000, "2024-01-02 03:04:05 UTC": 1704164645000, "2024-01-02T03:04:05.5+00": 1704164645500,
	} {
		if got, ok := (expr.TimeFormat{}).Parse(text); !ok || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, ok, want)
		}
	}
}

func TestWordsForBooleans(t *testing.T) {
	var s expr.Scratch
	for on, words := range map[bool]string{true: "y yes t true on 1 True ON", false: "n no f false off 0 False OFF"} {
		for word := range strings.FieldsSeq(words) {
			if v, outcome := s.Text([]byte(word), expr.Bool); v != telemetry.Bool(on) || outcome != expr.Converted {
				t.Errorf("%s: got %v", word, v)
			}
		}
	}
	for _, word := range []string{"", "2", "maybe", "tru", "yesyes", "onn"} {
		if v, outcome := s.Text([]byte(word), expr.Bool); v != telemetry.String(word) || outcome != expr.Kept {
			t.Errorf("%s: got %v", word, v)
		}
	}
}

func TestASliceTakesWhatIsNoListForAListOfOne(t *testing.T) {
	root := parse(t, `{"a":{"b":5}}`)
	for path, found := range map[string]bool{"a[*].b": true, "a[0:1].b": true, "a[1:].b": false, "a[0].b": false} {
		if v := expr.CompilePath(path).First(root); (v != nil) != found {
			t.Errorf("%s: got %v", path, v)
		}
	}
}

// The figures are those of strconv, which is right about the last bit.
func TestDecimalsAreExact(t *testing.T) {
	var s expr.Scratch
	for text, want := range map[string]float64{
		"0.1": 0.1, "-0.3": -0.3, "21.456": 21.456, "9007199254740993.5": 9007199254740993.5, "900719925474.0993": 900719925474.0993, "0.000000000000001": 1e-15,
		"123456789012345678": 123456789012345678, "1234567890123456789": 1234567890123456789, "99999999999999999999": 1e20, "0.30000000000000004": 0.30000000000000004,
		"491911.513517156139": 491911.513517156139, "507776815460938.908": 507776815460938.908, "232116073.690631143": 232116073.690631143,
		"00.5": 0.5, "1.": 1, ".5": 0.5, "1e3": 1000,
	} {
		if v, outcome := s.Text([]byte(text), expr.Float); v != telemetry.Float(want) || outcome != expr.Converted {
			t.Errorf("%s: got %v", text, v)
		}
	}
	for text, want := range map[string]int64{"9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63, "999999999999999999": 999999999999999999, "-0": 0, "007": 7} {
		if v, _ := s.Text([]byte(text), expr.Int); v != telemetry.Int(want) {
			t.Errorf("%s: got %v", text, v)
		}
	}
	if v, _ := s.Text([]byte("9223372036854775808"), expr.Int); v != telemetry.String("9223372036854775808") {
		t.Errorf("got %v", v)
	}
	minus, _ := s.Text([]byte("-0"), expr.Float)
	if got := string(minus.AppendJSON(nil)); got != "-0.0" {
		t.Errorf("minus zero became %s", got)
	}
}
