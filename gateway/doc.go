// Package gateway runs connectors against a platform: it starts and restarts
// them, stores what they submit, publishes it, and routes commands back.
//
// The path of a reading has two queues and no channel between them and the
// connector. [connector.Sink.Submit] filters, encodes and appends to the store
// on the connector's own goroutine; one publisher reads the store in order and
// acknowledges it when the platform has. A source is acknowledged as soon as
// its data is durable in the store, not when the platform has it, so a long
// outage does not stall a broker's in-flight window.
//
// # Changes while it runs
//
// [Gateway.Add], [Gateway.Remove] and [Gateway.Replace] change connectors,
// [Gateway.SetStore] the store, [Gateway.SetPlatform] the platform and
// [Gateway.SetReportPolicy] the report policy. What is new is tried first, if it
// can be, and what it replaces goes on if it fails. None of them loses a record
// that a source was told is stored.
//
// # Devices
//
// A device belongs to the connector that announced it or had its data last.
// [Gateway.Devices] tells what is known of each; see also [WithDeviceFile],
// [WithDeviceFilter] and [WithIdleTimeout].
//
// # Calls to the gateway's own device
//
// The gateway answers the calls that the reference gateway does, passes those
// named after connectors on to them, and has room for more; see [WithRPC].
package gateway
