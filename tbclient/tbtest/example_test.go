package tbtest_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// A server that prints what gateways send, as a demonstration does.
func ExampleNewServer() {
	srv, err := tbtest.NewServer(tbtest.Config{
		Token:       "secret",
		OnTelemetry: func(r tbtest.Reading) { fmt.Println(r.Device, r.Key, r.Value) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	fmt.Println(srv.Stats().Connects, "gateways have connected")
	// Output: 0 gateways have connected
}
