// Package table is the behaviour of ThingsBoard's MQTT transport, row by row:
// what a client sends, and what the platform does, over MQTT 3.1.1 and MQTT 5.
//
// A [Row] says which part of the platform's source its behaviour is from: class
// and lines of the 4.x line at commit dfe65d5a. [Run] plays a row against a
// server and compares the packets that come back. The double of package tbtest
// passes every row; the command tbclient/conformance plays them against any
// server.
package table
