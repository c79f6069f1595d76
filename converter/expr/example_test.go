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
