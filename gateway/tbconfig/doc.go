// Package tbconfig runs a gateway from the configuration files of the ThingsBoard
// IoT Gateway.
//
//	s, err := tbconfig.Open("/etc/thingsboard-gateway/config", tbconfig.Config{Types: []connector.Type{modbus.Type(), mqtt.Type()}})
//	...
//	err = s.Serve(ctx)
//
// A program that adds something of its own makes the gateway from Options and runs
// both: gateway.New(s.Options()...), g.Run(ctx) and s.Run(ctx, g).
//
// # Files
//
// Storage of the type memory becomes a memstore; file and sqlite become a
// filestore in the named folder, which, as in the original, is relative to the
// working directory. Certificates and connector files are relative to the folder of
// tb_gateway.json.
//
// A Service follows changes of the files while it runs: each section and each
// connector for itself, and only if its content is another one. What is broken is
// logged with its file, line and column, and leaves in effect what was before.
//
// # Remote configuration
//
// With "remoteConfiguration": true the platform changes the configuration by shared
// attributes of the gateway's own device:
//
//	general_configuration   the section thingsboard, or some of its keys
//	storage_configuration   the section storage; what is stored is moved
//	logs_configuration      logs.json
//	RemoteLoggingLevel      the level of the gateway's own log records on the platform
//	active_connectors       the names of the connectors that run; others are removed
//	any other               the configuration of a connector, if it has a configurationJson
//	grpc_configuration      connectors of that kind do not exist; to turn them on is an error
//
// A change is checked, tried, and only then written: a connection must be made, a
// connector become ready, a store be opened. If anything fails, also the writing of
// the files, everything is as it was. Files are replaced as a whole, and ten backups
// of each are kept in the folder backup. What arrives is never waited for by the
// data: connectors that a change is not about do not notice it.
//
// What is in effect is told to the platform as client attributes of the same names.
// Secrets are replaced by "********" there; coming back, that means the secret in
// use. The attribute configuration_errors is an object that says why a part is not
// in effect: by the attribute, or by the file and what it describes. It is empty if
// all is well.
package tbconfig
