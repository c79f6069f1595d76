// Package rest takes what devices and programs send over HTTP: the gateway is the
// server.
//
//	{
//	  "server": {"host": "0.0.0.0", "port": 5000},
//	  "mapping": [{
//	    "endpoint": "/rooms/{room}",
//	    "HTTPMethods": ["POST"],
//	    "security": {"type": "basic", "username": "user", "password": "secret"},
//	    "converter": {
//	      "type": "json",
//	      "deviceInfo": {"deviceNameExpressionSource": "request", "deviceNameExpression": "Room ${room}"},
//	      "timeseries": [{"key": "temperature", "type": "double", "value": "${temp}"}]
//	    }
//	  }]
//	}
//
// A request is answered with 200 when its data is durable in the gateway's store, and
// with 503 when that cannot be had in time, so that who sends it knows whether to send
// it again. Bodies, headers, connections and the time for each are limited. A request
// that waits for its answer from the platform holds up no other.
//
// The server speaks HTTP/1.1. Attribute updates and remote procedure calls go the other
// way, as requests to a server of the device.
package rest
