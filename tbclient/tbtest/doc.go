// Package tbtest is a ThingsBoard for tests: a server in the process that
// speaks the platform's MQTT API to gateways, records what it is told, and
// fails in the ways that the platform and its network can fail.
//
// It follows the behaviour of the platform's MQTT transport as of its 4.x line,
// over MQTT 3.1.1 and MQTT 5 on one port: what is acknowledged and with which
// reason, what ends the connection instead, the creation of devices that were
// not announced, rate limits, provisioning, firmware in chunks, messages in
// protobuf, and the rules by which a JSON number becomes a long, a double or a
// string. The package tbclient/conformance/table holds this behaviour row by
// row; the command tbclient/conformance compares any server with it.
//
// It is not the platform: it has no rule engine and no persistence, a message is
// stored whole or, for devices that cannot be created, without them, and what
// depends on the timing of a cluster and its database is not there. Messages
// that a client sends before its CONNECT is answered wait for the answer,
// without the platform's bound of 100; an acknowledgement never overtakes
// another one unless Config.AckDelay or Server.Reorder make it.
//
//	srv, err := tbtest.NewServer(tbtest.Config{Token: "secret"})
//	...
//	defer srv.Close()
//	client := tbclient.Dial(tbclient.Config{Broker: srv.URL(), AccessToken: "secret"})
package tbtest
