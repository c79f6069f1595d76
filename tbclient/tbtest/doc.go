// Package tbtest is a ThingsBoard for tests: a server in the process that
// speaks the platform's MQTT API to gateways, records what it is told, and
// fails in the ways that the platform and its network can fail.
//
// It follows the behaviour of the platform's MQTT transport as of its 4.x line:
// what is acknowledged and what ends the connection instead, the creation of
// devices that were not announced, and the rules by which a JSON number becomes
// a long, a double or a string. It speaks MQTT 3.1.1 with QoS 0 and 1. It is
// not the platform: it has no rule engine, no rate limits and no persistence.
//
//	srv, err := tbtest.NewServer(tbtest.Config{Token: "secret"})
//	...
//	defer srv.Close()
//	client := tbclient.Dial(tbclient.Config{Broker: srv.URL(), AccessToken: "secret"})
package tbtest
