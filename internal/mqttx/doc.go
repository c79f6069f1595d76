// Package mqttx is one MQTT connection, of version 3.1.1 or 5, that neither
// loses nor reorders nor hangs. A [Conn] lives once; whoever owns it dials
// again. Every write has a deadline, acknowledgements are given by hand, and
// every wait is bounded by the life of the connection and by a context.
//
// Version 3.1.1 is spoken by Eclipse Paho (paho.mqtt.golang), set up and
// wrapped so that it keeps these promises. Version 5 is spoken by a loop of
// this package's own: Paho's client for version 5 either waits for the
// acknowledgement within Publish, so that a window of publications cannot keep
// its order, or never tells of it; and its packet reader believes whatever
// length it reads, up to four gigabytes, or below zero on 32-bit machines. The
// tests check the packets made here against those of Paho's codec.
//
// The connection may go through an HTTP or SOCKS5 proxy, TLS and a websocket,
// whichever the version.
package mqttx
