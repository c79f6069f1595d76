package tbconfig_test

import (
	"fmt"
	"os"
	"path/filepath"

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
