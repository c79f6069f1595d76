package table_test

import (
	"context"
	"fmt"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// A row is played against a server.
func ExampleRun() {
	srv, err := tbtest.NewServer(tbtest.Config{Token: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	target := table.Target{Broker: srv.URL(), Token: "secret", Prefix: "example"}
	for number, row := range table.Rows() {
		if row.Name == "connect with an empty name" {
			res := table.Run(context.Background(), target, row, 5, number)
			fmt.Println(res.Verdict, res.Got)
		}
	}
	// Output: PASS [CONNACK 0 PUBACK 131 DISCONNECT 131 closed]
}
