package connectortest_test

import (
	"testing"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
)

// A connector's test needs little more than a double of its source.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		connectortest.Run(t, connectortest.Harness{
			New: func(*testing.T) (connector.Connector, connectortest.Source) {
				source := &broker{wake: make(chan struct{})}
				return &client{b: source}, source
			},
		})
	}
}
