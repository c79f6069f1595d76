package expr_test

import (
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

func TestPathsFindAllValuesInOrder(t *testing.T) {
	root := parse(t, `{"a":{"b":1,"c":[2,3]},"d":{"b":4},"e":[5,{"b":6}],"*":7}`)
	for path, want := range map[string]string{
		"$..b":              "1 4 6",
		"a,d":               `{"b":1,"c":[2,3]} {"b":4}`,
		"d|a.b":             "4 1",
		"(d|a).b":           "4 1",
		"a.c|e[0]":          "2",
		"a.(c|b)[0]":        "2",
		"*\twhere\tc":       `{"b":1,"c":[2,3]}`,
		"a.b.`parent`.c[*]": "2 3",
		"a.b[*].`parent`":   "[1]",
		"e[-1:].b":          "6",
		"a.c[:-1]":          "2",
		"d['*']":            "4",
		"d.$.e[0]":          "5",
		"a.b[0:1]":          "1",
		"`parent`":          "",
		"e..b":              "6",
		"a[0]":              "",
		`a."\c"[1]`:         "3",
		"a where b":         `{"b":1,"c":[2,3]}`,
		"a.c.`this`[1]":     "3",
	} {
		var got []string
		p := expr.CompilePath(path)
		p.Each(root, func(v *fastjson.Value) bool {
			got = append(got, v.String())
			return true
		})
		if p.Err() != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %s, %v, want %s", path, got, p.Err(), want)
		}
	}
}
