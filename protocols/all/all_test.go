package all_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/all"
)

// Every folder below protocols is linked, but for those that would make the binary a
// dynamic one.
func TestEveryProtocolIsLinked(t *testing.T) {
	set, err := connector.NewSet(all.Types()...)
	require.NoError(t, err)
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && name != "all" {
			assert.Contains(t, set, name)
		}
	}
}

func ExampleTypes() {
	set, err := connector.NewSet(all.Types()...)
	if err != nil {
		panic(err)
	}
	fmt.Println(set["modbus"].Name)
	// Output: modbus
}
