package expr_test

import (
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

func Example() {
	message := fastjson.MustParse(`{"sn": "9", "loc": {"city": "Lviv"}, "t": [20.5, 21]}`)
	name := expr.Compile("Device ${sn} (${loc.city})")
	temperature := expr.Compile("${t[-1]}")

	text, _ := name.Append(nil, message)
	var s expr.Scratch
	value, _ := s.Template(temperature, message, expr.TypeOf("double"))
	fmt.Println(string(text), value)
	// Output: Device 9 (Lviv) 21.0
}

func ExampleCompileRegexp() {
	re, err := expr.CompileRegexp("(?<=sensor/)(.*?)(?=/data)")
	if err != nil {
		panic(err)
	}
	device, _ := re.Find("sensor/AM-12/data")
	fmt.Println(device)
	// Output: AM-12
}

func ExampleTimeFormat() {
	f := expr.TimeFormat{DayFirst: true}
	ms, ok := f.Parse("03.04.2024 05:06:07 +0200")
	fmt.Println(ms, ok)
	// Output: 1712113567000 true
}

func ExampleCompileExpression() {
	e, err := expr.CompileExpression("round(value * 9 / 5 + 32, 1) if value is not None else -1")
	if err != nil {
		panic(err)
	}
	if err := e.Check("value"); err != nil {
		panic(err)
	}
	f, err := e.Eval([]expr.Operand{expr.FloatOf(21.53)})
	fmt.Println(f, err)
	_, err = expr.CompileExpression("__import__('os')")
	fmt.Println(err)
	// Output:
	// 70.8 <nil>
	// "__import__('os')": column 1: "__import__" is not a function that can be called
}

func ExamplePath_Each() {
	message := fastjson.MustParse(`{"rooms": [{"t": 20.5}, {"t": 21, "name": "hall"}]}`)
	expr.CompilePath("rooms[*]\twhere\tname").Each(message, func(v *fastjson.Value) bool {
		fmt.Println(v)
		return true
	})
	// Output: {"t":21,"name":"hall"}
}

func ExampleTimeField() {
	field := expr.CompileTimeField("${meta.at}", expr.TimeFormat{})
	ms, ok := field.Find(fastjson.MustParse(`{"meta": {"at": "Tue, 02 Jan 2024 03:04:05 GMT"}}`))
	fmt.Println(ms, ok)
	// Output: 1704164645000 true
}
