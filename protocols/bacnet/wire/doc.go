// Package wire encodes and decodes the messages of BACnet/IP (ANSI/ASHRAE 135,
// Annex J): the frames of the virtual link layer (BVLC), the network layer with its
// routed addresses (NPDU), the application layer with its segments (APDU), tagged
// values, and the services that a client of devices needs.
//
// A datagram is built by appending: [Begin], [NPDU.Append], [APDU.Append] with what
// one of the services' functions appended, [Finish]. It is taken apart by
// [ParseFrame], [ParseNPDU], [ParseAPDU] and the service's Parse function. The
// results refer to the datagram's memory and are valid as long as it is.
//
// Nothing in this package panics or allocates more than its input is long, whatever
// the input is. It has no state and does not use the network.
package wire
