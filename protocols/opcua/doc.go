// Package opcua reads values from OPC UA servers, by subscription or by polling, and
// writes values and calls methods on command.
//
// # Use
//
// In code:
//
//	c := opcua.New(opcua.Config{
//		URL: "opc.tcp://192.0.2.10:4840",
//		Mappings: []opcua.Mapping{{
//			Node:       `Root\.Objects\.Line[0-9]+`,
//			DeviceName: "line ${Name}",
//			Telemetry: []opcua.Item{{Key: "temperature", Node: `Sensors\.Temperature`}},
//			Updates:   []opcua.Update{{Key: "setpoint", Node: "Setpoint"}},
//			Methods:   []opcua.Method{{Name: "Restart"}},
//		}},
//	})
//
// In a configuration file, in the form of the ThingsBoard gateway's opcua.json:
//
//	{"server": {
//	   "url": "opc.tcp://192.0.2.10:4840", "timeoutInMillis": 4000, "scanPeriodInMillis": 3600000,
//	   "enableSubscriptions": true, "subCheckPeriodInMillis": 500,
//	   "security": "Basic256Sha256", "mode": "SignAndEncrypt",
//	   "identity": {"type": "username", "username": "gateway", "password": "secret"}},
//	 "mapping": [{
//	   "deviceNodePattern": "Root\\.Objects\\.Line[0-9]+",
//	   "deviceInfo": {"deviceNameExpression": "line ${Name}", "deviceProfileExpression": "line"},
//	   "timeseries": [{"key": "temperature", "value": "${Sensors\\.Temperature}"}],
//	   "attributes": [{"key": "serial", "value": "${ns=2;s=Serial}"}],
//	   "attributes_updates": [{"key": "setpoint", "value": "${Setpoint}"}],
//	   "rpc_methods": [{"method": "Restart", "arguments": []}]
//	}]}
//
// A mistake in a file is reported with its path and value, all of them at once, and
// the connector does not start. Keys without a meaning, and keys that do not apply
// here, are each reported once by name. The old form of the file (mapping within
// server) is read as well.
//
// # Nodes
//
// A node is named by its identifier (ns=2;s=Pump, i=2258, or nsu=urn:x;s=Pump with
// the URI of the namespace, whose index may change), by a path from the root, or by
// a path from the device's node. Segments of paths are separated by a backslash and
// a dot; they are browse names, with the index of their namespace (2:Pump) or
// without, and may hold dots, blanks and any letters. Names in paths are literal;
// only a segment of deviceNodePattern that no child is named like is taken for a
// regular expression, if it looks like one. Each node that a pattern finds is a
// device. A device whose name refers to a node without a value is left out until
// the next search.
//
// # Values
//
// Numbers, booleans and strings keep their type; arrays and structures become JSON,
// also structures that the server defines itself; a DateTime is ISO 8601 text, a
// ByteString hexadecimal, a LocalizedText its text. A value of bad quality is never
// reported: instead the attribute KEY_status names the status, once, and says Good
// when the value is good again. Uncertain values are reported as they are. A null
// is no value.
//
// A reading carries the time when it came, or with timestampLocation the source's or
// the server's.
//
// "compatibility": "thingsboard" beside server makes lists of texts of arrays and
// gives localized texts their Python form, keeps names that cannot be resolved, and
// lets a security policy count only together with a certificate, as the reference
// gateway does.
//
// # Subscriptions and polling
//
// Values are monitored by one subscription, whose messages are put in order,
// acknowledged, and asked for again if one is missing. What a server does not want
// to monitor is polled. Requests are split by the server's OperationLimits and so
// that each fits into one chunk; if an answer is too large, or something in it
// cannot be read, the request is halved until what is at fault is alone.
//
// The gateway holds at most eight messages that wait for its store; while they do,
// none are asked for, and the server keeps the values, as many per item as
// queueSize says. [Connector.Stats] counts how often and how long that happens, and
// what the server had to drop.
//
// # Connection
//
// A server that has said nothing for 1.5 s is asked whether it is there, and has
// 2 s to answer, also while a subscription keeps quiet. Whatever is wrong, the
// connection, the session and the subscription are then built anew, at once, and
// after delays of one to three seconds for as long as it takes. A subscription that
// is silent for twice as long as the server has promised counts as lost, too.
// Devices are reported offline once the server is away for ten seconds.
//
// # Security
//
// All policies of [Security], signed or encrypted, go with an anonymous session, a
// user, or a certificate. If the server does not offer what is configured the
// connection fails. Its certificate must lie in the folder trusted of the folder
// pki, or be issued by an authority that does; one that is refused is put into the
// folder rejected, from where it can be moved. The gateway's own certificate is
// made at the first start and kept in pki.
//
// # Commands
//
// The methods get and set take a key of the device, an identifier or a path: get
// with "temperature", set with "ns=2;i=5; 7" (also ";=", "=" or a blank before the
// value), or an object {"node": "ns=2;i=5", "value": 7}. Other methods are those of
// rpc_methods. Values are written in the type that the node or the argument has; one
// that does not fit is refused and never cut.
//
// # Limits
//
// Events and history are not read, and structures are not written. Arrays have
// 65,535 elements at most, and answers 2 MB. The library that decodes messages,
// github.com/gopcua/opcua v0.9.1, panics at some messages that no correct server
// sends, in a goroutine of its own, which ends the process: an array of a length below
// -1. With a security policy only a server whose certificate is trusted can send one.
// A server that is not trusted should be connected to from a process of its own.
package opcua
