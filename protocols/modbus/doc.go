// Package modbus polls Modbus devices over TCP, TLS and UDP and over serial lines, in
// the framings of Modbus TCP, RTU and ASCII, and writes to them on command. It also
// makes the gateway a Modbus server (slave), see [Server].
//
// # Use
//
// In code:
//
//	c := modbus.New(modbus.Config{
//		URL: "rtu:///dev/ttyUSB0?baud=9600",
//		Devices: []modbus.Device{{
//			Name: "boiler", Unit: 1, Poll: 5 * time.Second,
//			Registers: []modbus.Register{
//				{Key: "temperature", Address: 100, Type: modbus.Int16, Scale: 0.1},
//				{Key: "setpoint", Address: 200, Scale: 0.1, Writable: true},
//			},
//		}},
//	})
//
// In a configuration file, in the form of the ThingsBoard gateway's modbus.json:
//
//	{"master": {"slaves": [{
//		"type": "serial", "method": "rtu", "port": "/dev/ttyUSB0", "baudrate": 9600,
//		"unitId": 1, "deviceName": "boiler", "deviceType": "default",
//		"pollPeriod": 5000, "timeout": 1, "byteOrder": "BIG", "wordOrder": "BIG",
//		"timeseries": [
//			{"tag": "temperature", "type": "16int", "functionCode": 3, "address": 100, "divider": 10}],
//		"attributeUpdates": [
//			{"tag": "setpoint", "type": "16uint", "functionCode": 6, "address": 200}],
//		"rpc": [
//			{"tag": "restart", "type": "bits", "functionCode": 5, "address": 3}]
//	}]}}
//
// A mistake in a file is reported with its path and value, all of them at once, and
// the connector does not start: a meter that is silently missing is worse. Only a tag
// of a type that does not exist, or a command of a function that does not, is left out
// alone, with an error in the log. Keys
// without a meaning, and keys that do not apply here, are each reported once by name.
// Beside the reference gateway's keys a slave has maxGap, maxRegistersPerRequest,
// rs485, profile and profileOptions, and a tag byteOrder, wordOrder, pollPeriod, min,
// max and encoding; addresses can be written as "0x1F". The time-out (seconds,
// default 30) is limited to 3 s where several slaves share a bus.
//
// The old form of the file (server with devices) is read as well. The section slave
// makes the gateway a server, if its sendDataToThingsBoard is true. The results of
// remote procedure calls have the reference gateway's form, {"result": {"value": 5}}.
//
// "compatibility": "thingsboard" beside master converts as the reference gateway does
// where it is at odds with the specification (see [Register.Quirks]). What it does
// worse than that (half of a value written, coils that cannot be switched off) is not
// restored.
//
// # Polling
//
// Devices of one URL share a bus: one connection and one goroutine. The registers
// of a device that have one table and interval are merged into the fewest requests,
// reading over gaps of up to 16 registers. If the device refuses such a block with
// exception 2 or 3, or does not answer it while it answers others, the block is split
// until the registers that it does not have are alone; they are reported once and tried
// again rarely. All readings of a poll carry one time.
//
// A device that does not answer three polls in a row is reported offline and then
// probed after growing delays, so it costs the others on its bus one time-out now
// and then. A bus that is not reachable is reconnected after growing delays. Remote
// procedure calls and attribute updates go ahead of polls.
//
// # Values
//
// Numbers are decoded exactly: integers stay integers, a 32-bit float stays one (and
// is sent as 230.1, not 230.10000610351562), division by powers of ten is exact.
// Unsigned 64-bit numbers beyond int64 become floats. Coils and register bits come
// in the order of their addresses, the lowest bit of a register first. Text ends at
// its trailing NULs; text that is not UTF-8 is reported in hexadecimal. Writing
// checks ranges: a value that does not fit is refused and never cut.
//
// # Transports
//
// Both framings are the package's own. github.com/simonvetter/modbus, which it is
// tested against, cannot be cancelled, holds a lock for the length of a request
// (and of connecting), has no way past the client functions it wraps, and on serial
// lines takes an answer that comes after its time-out for the answer to the next
// request. Here TCP answers are matched by transaction. On RTU, which has no such
// thing, what was received before a request is discarded; after a time-out the next
// request to the same unit is held back until the late answer has come, or for as
// long again as the time-out (one second at least, two at most). A device that answers even later
// than that, with the same number of registers, cannot be told from one that
// answers in time: choose the time-out above the slowest answer of a device.
//
// Modbus TCP over TLS keeps its header, as the Modbus/TCP Security Protocol
// Specification has it. Servers are verified, unless a setting says otherwise.
//
// # Server
//
// Only the addresses that the server's device names exist; others are answered with
// exception 2. It serves several masters at once, closes a connection that brought
// no request for ten minutes, or something that is no frame, and starts again after
// growing delays when it cannot listen. What masters write is published when the
// server's device is polled next, and values that change in between are not.
//
// # Limits
//
// Function codes are 1 to 6, 15 and 16, and for the server also 43 with type 14
// (device identification). Key files with a password are not read.
package modbus
