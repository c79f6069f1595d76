// Package gateway runs connectors against a platform: it starts and restarts
// them, stores what they submit, publishes it, and routes commands back.
//
// The path of a reading has two queues and no channel between them and the
// connector. [connector.Sink.Submit] filters, encodes and appends to the store
// on the connector's own goroutine; one publisher reads the store in order and
// acknowledges it when the platform has. A source is acknowledged as soon as
// its data is durable in the store, not when the platform has it, so a long
// outage does not stall a broker's in-flight window.
package gateway
