// Package snmp polls SNMP agents, writes to them on command, and receives their
// traps and informs. It speaks versions 1, 2c and 3, over UDP and TCP.
//
// # Use
//
// In code:
//
//	c := snmp.New(snmp.Config{
//		Devices: []snmp.Device{{
//			Name: "switch", Address: "192.0.2.1", Community: "public", Poll: 30 * time.Second,
//			Objects: []snmp.Object{
//				{Key: "uptime", OIDs: []string{"1.3.6.1.2.1.1.3.0"}},
//				{Key: "interfaces", Method: snmp.BulkTable, OIDs: []string{"1.3.6.1.2.1.2.2"}},
//			},
//		}},
//	})
//
// In a configuration file, in the form of the ThingsBoard gateway's snmp.json:
//
//	{"oids": {"sysUpTime": "1.3.6.1.2.1.1.3"},
//	 "devices": [{
//		"deviceName": "switch", "deviceType": "switch", "ip": "192.0.2.1", "port": 161,
//		"version": "v2c", "community": "public", "pollPeriod": 30000, "timeout": 6,
//		"attributes": [{"key": "name", "method": "get", "oid": "1.3.6.1.2.1.1.5.0"}],
//		"telemetry": [
//			{"key": "uptime", "method": "get", "oid": "sysUpTime.0"},
//			{"key": "interfaces", "method": "bulktable", "oid": "1.3.6.1.2.1.2.2"}],
//		"attributeUpdateRequests": [
//			{"attributeFilter": "location", "method": "set", "oid": "1.3.6.1.2.1.1.6.0"}],
//		"serverSideRpcRequests": [
//			{"requestFilter": "rename", "method": "set", "oid": "1.3.6.1.2.1.1.5.0", "dataType": "octetString"}]
//	 }],
//	 "traps": {"port": 162, "mappings": [
//		{"trap": "1.3.6.1.6.3.1.1.5.3", "key": "link", "value": "down",
//		 "telemetry": [{"key": "ifIndex", "oid": "1.3.6.1.2.1.2.2.1.1"}]}]}}
//
// A mistake in a file is reported with its path and value, all of them at once, and
// the connector does not start. Only an object of a method that does not exist is
// left out alone, with an error in the log. The results of remote procedure calls
// have the reference gateway's form, {"result": 5}.
//
// # Polling
//
// Each device has a socket, a goroutine and a schedule of its own: one that does not
// answer holds up no other. After three polls without an answer it is reported
// offline, and is then probed with one small request after growing delays.
//
// Objects of one interval are read in the fewest requests, 60 objects at a time. An
// agent that answers tooBig, or answers small requests but not large ones, is asked
// for fewer. An object that fails costs nothing else: it is named in the log once,
// and where it would cost a request of its own in each poll (version 1), it is asked
// for again after growing delays. Walks and tables use GETBULK where the version has
// it, and end with an error if the agent's objects do not increase or are more than
// 20000. All readings of a poll carry one time.
//
// # Values
//
// INTEGER, Counter and Gauge are integers, Counter64 beyond int64 a float, TimeTicks
// seconds, IpAddress and OBJECT IDENTIFIER text. An OCTET STRING is text if it is
// printable UTF-8, and hexadecimal (00:1b:fe:12:34:56) if not, see [Encoding]. Zero
// and empty values are reported. Walks give an object {oid: value}, tables
// {index: {column: value}}, with numbers as numbers.
//
// "compatibility": "thingsboard" beside devices gives the forms of the reference
// gateway: the values in objects are text, tables are lists of rows in which "0" is
// the index, and results of remote procedure calls are text, as Python prints them.
// What loses data there (rows, zeros, binary strings) is not restored.
//
// Writing uses the type that the configuration or the call names, or else that of
// the object's current value. A value that does not fit is refused. Several objects
// are written in one request, which agents carry out as a whole.
//
// # Notifications
//
// Traps are reported for the device whose address they come from. Informs are
// answered only when what they say is durable, and one that is repeated is reported
// once. Messages of version 3 are checked for their user and its security level, and
// for being new: old ones, and informs to another engine or outside of the time
// window of RFC 3414, are refused. The engine identifier is new for each Run, so that
// no inform of an earlier one is accepted, unless one is configured.
//
// # Limits
//
// The library, github.com/gosnmp/gosnmp, decodes and encrypts. Traps are received
// over UDP. With a configured engine identifier the number of starts is not counted:
// an inform that was recorded after one start could be repeated at about the same
// time after the next. A device that is given by name and never polled has no
// address that its traps could be told by.
package snmp
