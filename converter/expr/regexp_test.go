package expr_test

import (
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// The results are those of Python 3.11's re.search: the last group that took
// part, or the whole match.
func TestRegexpFindsWhatPythonFinds(t *testing.T) {
	for _, c := range []struct {
		pattern, text, want string
		found               bool
	}{
		{`^site/([^/]+)/dev/([^/]+)/data$`, `12ab`, ``, false},
		{`(?<=a/)[^/]+`, `site/k/dev/42/data`, ``, false},
		{`(?<=aa)a*?(?=a)`, `plant/line4/speed`, ``, false},
		{`[^/]+$`, `a/b/c/z`, `z`, true},
		{`(?<=\d\d)[ab]*`, `12ab`, `ab`, true},
		{`(?P<n>a+)(?=b)`, `abc`, `a`, true},
		{`(?i)(?<=SENSOR/)[a-z]+`, `sensor/AM-12/data`, `AM`, true},
		{`(?<=(a|b))c`, `abc`, `b`, true},
		{`\Aa\Z`, `abcdabcd`, ``, false},
		{`(?<=[/\]])[^/\]]*(?=[/\]])`, `a/c/dd/z`, `c`, true},
		{`[^/]+$`, `dev/7/up`, `up`, true},
		{`(?<=sensor/)(.*)(?=/data)`, `1`, ``, false},
		{`(?P<n>a+)(?=b)`, `abcdabcd`, `a`, true},
		{`\Aa\Z`, `site/k/dev/42/data`, ``, false},
		{`(?<=a)(?:b(c)|b(cd)?)(?=d)`, `ababcdd`, `c`, true},
		{`(?<=a/)[^/]+`, `a/b/z`, `b`, true},
		{`(?<=aa)a*?(?=a)`, `abcd`, ``, false},
		{`(?<=^a/)(b|c)?(.*)(?=/z)`, `a/c/dd/z`, `/dd`, true},
		{`(?<=a|b)c+`, `bcc`, `cc`, true},
		{`(?<=ab)(?:a|ab)(c|bcd)(?=d*)`, `site/k/dev/42/data`, ``, false},
		{`(?<=/)(\d+)(?=(/|$))`, `abc`, ``, false},
		{`(?<=a)(?:b(c)|b(cd)?)(?=d)`, `abcdabcd`, `c`, true},
		{`(?<=(a|b))c`, `Sensor/abc/1`, `b`, true},
		{`(?<=a|b)c+`, `abcdabcd`, `c`, true},
		{`(?<=sensor/)(.*?)(?=/data)`, `abcd`, ``, false},
		{`[^/]+(?=/up$)`, `dev/7/up`, `7`, true},
		{`[^/]+(?=/up$)`, `aab`, ``, false},
		{`(?<=sensor/)(.*)(?=/data)`, `plant/line4/speed`, ``, false},
		{`a(b)?c(?=d)`, `q/17`, ``, false},
		{`(?<=ab)(?:a|ab)(c|bcd)(?=d*)`, `ababcdd`, `bcd`, true},
		{`(?i)(?<=SENSOR/)[a-z]+`, `Sensor/abc/1`, `abc`, true},
		{`(?<=[/\]])[^/\]]*(?=[/\]])`, `plant/line4/speed`, `line4`, true},
		{`(?<=x)(?=y)`, `abc`, ``, false},
		{`(?<=^a/)(b|c)?(.*)(?=/z)`, `a/b/c/z`, `/c`, true},
		{`a(b)?c(?=d)`, `ababcdd`, `b`, true},
		{`(?<=x)(?=y)`, `xy`, ``, true},
		{`(?<=\d\d)[ab]*`, ``, ``, false},
		{`(?<=/)(\d+)(?=(/|$))`, `Sensor/abc/1`, ``, true},
		{`(?<=sensor/)(.*?)(?=/data)`, `abcdd`, ``, false},
		{`^site/([^/]+)/dev/([^/]+)/data$`, `site/k/dev/42/data`, `42`, true},
		{`(?<=b)(b|/)(?=$)`, `bbbb`, `b`, true},
		{`/(a|b)*(?=a|b)`, `/baaa`, `a`, true},
		{`(?<=^a)(?:a|ab)`, `aab/`, `a`, true},
		{`(?<=)a*[ab](?=(b))`, `a/bbbb/`, `b`, true},
		{`(?<=[ab])a{1,2}`, `//aba//`, `a`, true},
		{`\w[^/]/a{1,2}`, `a/aba/a`, `ba/a`, true},
		{`(?<=a|b)(.*?)(?=$)`, `/aaa`, `aa`, true},
		{`(?<=)\w(?:a|ab)`, `baa//`, `ba`, true},
		{`(?<=/)[ab](?=a)`, `///aab/`, `a`, true},
		{`(?<=)(a|b)*(.*)`, `/b`, `/b`, true},
		{`(?<=(a))(b|/)(?=a|b)`, `b/a/a`, `/`, true},
		{`^[^/](.*)(?=a|b)`, `bbb/ab/`, `bb/a`, true},
		{`(?<=[ab])(b|/)`, `abb/`, `b`, true},
		{`(?<=a/)(?:a|ab)`, `ba/ab/`, `a`, true},
		{`(?<=[ab])(a)(?=)`, `/bba`, `a`, true},
		{`(?<=b)(?=(b))`, `babb//`, `b`, true},
		{`(?<=)(a)(.*?)(b|/)[^/](?=(a))`, `ba/bab`, `a`, true},
		{`(?<=[ab])(.*)a{1,2}`, `/ab/abb`, `b/`, true},
		{`(?:a|ab)(?=/)`, `baba/b`, `a`, true},
		{`(?<=b)(.*?)(b|/)(?=[ab])`, `ba///a/`, `/`, true},
		{`a*(?:a|ab)a*a?`, `aab`, `aa`, true},
		{`(?<=a)(a|b)*a{1,2}(?=/)`, `abba/a`, `b`, true},
		{`(?<=b)(?:a|ab)a?b+?`, `//ababa`, `ab`, true},
		{`(?<=a/)[^/][^/]`, `a/bab//`, `ba`, true},
		{`[ab](a|b)*(b|/)a*`, `bb/b/b/`, `/`, true},
		{`(?<=a|b)(b|/)`, `a//baaa`, `/`, true},
		{`(?<=a/)(.*)(?=$)`, `a/bb//`, `bb//`, true},
		{`(?<=)[^/]a?(b|/)`, `b/bba/`, `/`, true},
		{`(b|/)[ab](?=/)`, `/a/a`, `/`, true},
		{`(?<=\w/)[^/][ab](?=/)`, `/b/bb/b`, `bb`, true},
		{`a{1,2}[ab]a{1,2}(?=(a))`, `abaa`, `a`, true},
		{`(?<=[ab])[^/](?=[ab])`, `bbbbb`, `b`, true},
		{`[ab][ab]\w(?=[ab])`, `ababb`, `aba`, true},
		{`(b|/)a?(?=a/)`, `b/a/b`, `/`, true},
		{`(?<=a|b)(.*)(b|/)`, `/babb/`, `/`, true},
		{`(?<=a)[ab](?=b)`, `aaab/`, `a`, true},
		{`(?<=a|b)(.*)(?=/.*$)`, `baa/ab`, `aa`, true},
		{`(?<=(a)).(?=)`, `ba/`, `a`, true},
		{`(?<=/)a*(?:a|ab)\w`, `bbbb/ab`, `ab`, true},
		{`(?<=/)\wb(?=(a))`, `b/bba//`, `a`, true},
		{`(?<=[ab])a?/(a|b)*`, `a/ba//a`, `a`, true},
		{`(?<=)(.*?).[^/]/(?=(a))`, `/ba/a`, `a`, true},
		{`(?<=)(?:a|ab)(.*)(?=(a))`, `aab`, `a`, true},
		{`a{1,2}(a|b)*(?=/)`, `baabb/`, `b`, true},
		{`(?<=b)(a|b)*a{1,2}`, `babbbaa`, `a`, true},
		{`(?<=[ab])(.*)b`, `aaab/`, `aa`, true},
		{`(?<=b)[ab](?=/)`, `b/ba/`, `a`, true},
		{`(?:a|ab)[ab]a?`, `a/abba/`, `ab`, true},
		{`(?:a|ab)(?=[ab])`, `/aa`, `a`, true},
		{`^(?:a|ab)(b|/)$`, `ab/`, `/`, true},
		{`(a|b)*(.*)a*b+?`, `b/b`, `/`, true},
		{`(?<=a)(a|b)*(?=(a))`, `/abab//`, `a`, true},
		{`(?<=)[^/](?=a|b)`, `/b/bbab`, `b`, true},
		{`(?<=a|b)[^/]a`, `abbbba`, `ba`, true},
		{`(?<=a|b)(.*).(?=(a))`, `/b//bab`, `a`, true},
		{`(?<=[ab])(a|b)*(?=b)`, `aab`, `a`, true},
		{`(?<=b)(.*)/(a)`, `ab/abb`, `a`, true},
		{`a*[ab](?=(a))`, `aab`, `a`, true},
		{`(?<=b)/a{1,2}`, `aabb/a`, `/a`, true},
		{`(?<=[ab])a{1,2}`, `ab///ba`, `a`, true},
		{`b+?a?(?:a|ab)(.*?)`, `////`, ``, false},
		{`(?<=^a)(?:a|ab)[^/]b+?(.*)(?=ab)`, `/`, ``, false},
		{`(?<=a|b)a{1,2}(?:a|ab)(?=\w/)`, `///aba`, ``, false},
		{`(?<=a|b)[^/](?=a/)`, `baaa`, ``, false},
		{`(?<=[ab])/(?:a|ab)(a)^(?=^a)`, `bbaaa`, ``, false},
		{`(?<=b)a*(?:a|ab)`, `aa/`, ``, false},
		{`(?<=a/)(.*)(.*)(?=a/)`, `a`, ``, false},
		{`(?<=\w/)(a|b)*(a|b)*[^/](?=$)`, `//a//aa`, ``, false},
		{`(?<=)/(?=a|b)`, `b/`, ``, false},
		{`a*(b|/)b$(?=a)`, ``, ``, false},
	} {
		re, err := expr.CompileRegexp(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, ok := re.Find(c.text); ok != c.found || got != c.want {
			t.Errorf("%s in %q: got %q, %v, want %q, %v", c.pattern, c.text, got, ok, c.want, c.found)
		}
	}
}

func TestRegexpRefusesWhatItCannotExpressAndNamesIt(t *testing.T) {
	for pattern, construct := range map[string]string{
		`(.)(?=\1)`:         `\1`,
		`(?!a)b`:            `(?!`,
		`(?<!x)y`:           `(?<!`,
		`a(?=b)b`:           `(?=`,
		`((?<=a)b)`:         `(?<=`,
		`(?<=a)b(?=c)(?=d)`: `(?=c)`,
		`(?<=a)b|c`:         `alternatives after the look-behind (?<=a)`,
		`b|c(?=d)`:          `alternatives beside the look-ahead (?=d)`,
		`(?<=a+)b`:          `(?<=a+) has no fixed width`,
		`(?<=a|bc)d`:        `(?<=a|bc) has no fixed width`,
		`(?<=a)*b`:          `cannot be repeated`,
		`(?<=a`:             `not closed`,
		`(a`:                `missing closing )`,
		`[a`:                `missing closing ]`,
		`a**`:               `invalid nested repetition`,
	} {
		_, err := expr.CompileRegexp(pattern)
		if err == nil || !strings.Contains(err.Error(), construct) {
			t.Errorf("%s: got %v, want it to name %s", pattern, err, construct)
		}
	}
}

func TestRegexpMatchStart(t *testing.T) {
	re, err := expr.CompileRegexp("relay.*")
	if err != nil {
		t.Fatal(err)
	}
	if !re.MatchStart("relay1") || re.MatchStart("my relay") || !re.Match("my relay") {
		t.Error("MatchStart matches at the start only, Match anywhere")
	}
}

func TestRegexpFindWhole(t *testing.T) {
	re, err := expr.CompileRegexp("(?<=sensor/)([a-z]+)([0-9]+)(?=/connect)")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := re.FindWhole("sensor/abc12/connect"); !ok || got != "abc12" {
		t.Errorf("got %q, %v", got, ok)
	}
}
