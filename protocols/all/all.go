// Package all links every protocol that keeps a binary static, for programs that take
// whatever a configuration file asks for. A program that knows what it needs names the
// protocols itself, and is smaller.
package all

import (
	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
	"github.com/gridlinks/iot-gateway/protocols/ftp/sftp"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/mqtt"
	"github.com/gridlinks/iot-gateway/protocols/opcua"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/protocols/rest"
	"github.com/gridlinks/iot-gateway/protocols/serial"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/protocols/socket"
)

// Types returns the types, as the options of their protocols make them by default.
func Types() []connector.Type {
	return []connector.Type{
		bacnet.Type(),
		ftp.Type(),
		meter.Type(), // modbus, with the profiles of meters
		mqtt.Type(),
		opcua.Type(),
		request.Type(),
		rest.Type(),
		serial.Type(),
		sftp.Type(),
		snmp.Type(),
		socket.Type(),
	}
}
