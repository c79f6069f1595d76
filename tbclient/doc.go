// Package tbclient speaks the ThingsBoard Gateway MQTT API.
//
// A [Client] is a gateway.Platform. It works over a [Transport], which opens
// MQTT sessions; [Dial] makes a client over MQTT 3.1.1 or 5 on TCP, TLS or
// websocket, through a proxy if need be.
//
// # What it promises
//
//   - A delivery succeeds when the platform has acknowledged (PUBACK) those very
//     packets on the connection that they were sent on, and not otherwise. A
//     packet that is not acknowledged within Config.Timeout ends the connection,
//     and with it every delivery that is not yet acknowledged.
//   - Each device is announced with its profile before its first data on a
//     connection, and every online device again after a reconnection, before
//     other data flows.
//   - No payload exceeds the limit of the platform. A value that is too large
//     for any payload is left out, counted and logged; what surrounds it is sent.
//   - The rate limits that the platform tells, and those of the configuration,
//     are kept by waiting. Nothing is dropped for them.
//   - Data that the platform does not take stops nothing behind it: it is found,
//     written to Config.Quarantine with the reason, counted, and passed over. A
//     platform that takes no data at all makes none suspect.
//   - A device that was renamed on the platform is followed, and one that was
//     deleted there is created again by its data.
//   - Every remote procedure call gets exactly one reply: its result, the error
//     of its handler, or that it timed out or found too many others waiting.
//     A reply that was not acknowledged before its connection ended is sent
//     again; the platform takes one.
//     Calls for one device are carried out in order, for different devices
//     concurrently, and replies do not queue behind telemetry.
//   - Credentials appear in no log and no error.
//
// # Order
//
// Data of one device arrives in the order of the Publish calls, even if the
// connection is lost in between: after a connection has ended with deliveries
// unacknowledged, Publish fails once, unless it has failed already for that
// reason, so that nothing newer overtakes what has to be published again.
package tbclient
