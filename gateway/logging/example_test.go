package logging_test

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

func ExampleNew() {
	var out strings.Builder
	l := logging.New(logging.Config{Output: &out})
	meters := l.Logger().With("connector", "meters") // as the gateway does
	l.Levels.Set(logging.Connector("meters"), slog.LevelDebug)
	meters.Debug("request sent", "register", 40001)
	for range 100 {
		meters.Warn("device does not answer", "device", "hall")
	}
	_ = l.Close()
	for line := range strings.Lines(out.String()) {
		fmt.Print(line[len("2006-01-02 15:04:05.000 - "):])
	}
	// Output:
	// |DEBUG| - [meters] - request sent register=40001
	// |WARNING| - [meters] - device does not answer device=hall
	// |WARNING| - [meters] - device does not answer device=hall repeated=99
}
