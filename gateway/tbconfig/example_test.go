package tbconfig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
)

// Errors say where in the file they are.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "tbconfig")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tb_gateway.json")
	if err := os.WriteFile(path, []byte(`{"thingsboard": {"host": "localhost", "port": 70000,
		"security": {"accessToken": "..."}}, "storage": {"type": "memory"}}`), 0o600); err != nil {
		panic(err)
	}

	_, err = tbconfig.Load(path)
	fmt.Println(err != nil)
	// Output: true
}

// A Service runs a gateway as the files say, and follows them.
func ExampleService_Serve() {
	dir, err := os.MkdirTemp("", "tbconfig")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tb_gateway.json")
	if err := os.WriteFile(path, []byte(`{"thingsboard": {"host": "localhost", "security": {"accessToken": "..."}}, "storage": {"type": "memory"},
		"connectors": [{"type": "clock", "name": "wall", "configurationJson": {}}]}`), 0o600); err != nil {
		panic(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	clock := connector.Type{Name: "clock", New: func(json.RawMessage, connector.Env) (connector.Connector, error) {
		return connector.Func(func(ctx context.Context, h connector.Host) error {
			h.Ready()
			fmt.Println("the clock runs")
			cancel() // a real one goes on
			<-ctx.Done()
			return nil
		}), nil
	}}
	s, err := tbconfig.Open(path, tbconfig.Config{Types: []connector.Type{clock}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Serve(ctx, gateway.WithDrainTimeout(0)))
	// Output:
	// the clock runs
	// <nil>
}
