// Package tbconfig reads the configuration files of the ThingsBoard IoT Gateway.
//
// A gateway that runs from the files of an installation takes four lines:
//
//	opts, err := tbconfig.Load("/etc/thingsboard-gateway/config/tb_gateway.json", modbus.Type(), mqtt.Type())
//	...
//	g, err := gateway.New(opts...)
//
// Storage of the type memory becomes a memstore; file and sqlite become a
// filestore in the named folder, which, as in the original, is relative to the
// working directory. Certificates and connector files are relative to the
// folder of tb_gateway.json.
package tbconfig
