// Command conformance compares a server with what ThingsBoard's MQTT transport
// does, row by row (package table), and says where it differs:
//
//	go run ./tbclient/conformance -broker tcp://host:1883 -token T
//
// It needs the access token of a gateway, a device with "Is gateway" set, and
// creates devices behind it, whose names it prints first and which it does not
// delete. Rows that need more, such as a rate limit, are not run, and say so.
// The exit code is 0 if nothing differs, 1 if something does, and 2 if the
// command could not do its work.
package main
