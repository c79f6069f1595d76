package main

import (
	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/all"
)

// protocols returns every protocol that keeps the binary static. Who needs fewer
// names them, such as modbus.Type(), and the binary is smaller.
func protocols() []connector.Type { return all.Types() }
