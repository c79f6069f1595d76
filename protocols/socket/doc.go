// Package socket connects devices that write bytes to a TCP or UDP socket: the
// gateway listens, or connects to them.
//
// A message is a datagram, or what the framing makes of a stream: without one, each
// read is taken for a message, which tears long ones and joins quick ones. Keys are
// bytes of the message, as text or as numbers:
//
//	{
//	  "socket": {"type": "TCP", "address": "0.0.0.0", "port": 50000, "framing": {"delimiter": "\n"}},
//	  "devices": [{
//	    "address": "192.168.1.*:*",
//	    "deviceName": "Weather station",
//	    "encoding": "utf-8",
//	    "telemetry": [
//	      {"key": "temperature", "byteFrom": 0, "byteTo": 5, "type": "float"},
//	      {"key": "humidity", "byteFrom": 6, "byteTo": -1, "type": "float"}
//	    ]
//	  }]
//	}
//
// A socket cannot be acknowledged, so what a peer writes while the gateway does not
// run is lost. What was read waits until the store has taken it, and meanwhile nothing
// more is read, so that a TCP peer has to wait; datagrams are dropped by the operating
// system when its buffer is full.
package socket
