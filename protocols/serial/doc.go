// Package serial connects devices that talk by themselves on a serial line: scales,
// meters, sensors, and whatever prints its readings. Each device has a line of its
// own.
//
// A message ends with a delimiter or with a silence. Keys say which part of it
// counts and what it means:
//
//	{
//	  "devices": [{
//	    "name": "scale",
//	    "port": "/dev/ttyUSB0",
//	    "baudrate": 9600,
//	    "delimiter": "\r\n",
//	    "telemetry": [{"key": "weight", "type": "float", "fromDelimiter": "W=", "untilDelimiter": " kg"}],
//	    "attributeUpdates": [{"attributeOnPlatform": "tare", "stringToDevice": "TARE ${tare}\r\n"}],
//	    "serverSideRpc": [{"method": "version", "type": "string", "withResponse": true, "responseType": "string"}]
//	  }]
//	}
//
// A line cannot be acknowledged: what arrives while the gateway does not run is lost.
// What arrived is submitted until the store has taken it. Writes wait for their turn on
// the line, and for its flow control for the write time-out at most.
//
// Lines are used with all settings on Linux; Windows and macOS have no flow control.
package serial
