package main

import (
	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/protocols/serial"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// protocols returns every protocol that keeps the binary static. Who needs fewer
// deletes a line, and the binary is smaller.
func protocols() []connector.Type {
	return []connector.Type{
		modbus.Type(),
		mqtt.Type(),
		serial.Type(),
		snmp.Type(),
	}
}
