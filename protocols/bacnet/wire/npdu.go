package wire

import "encoding/binary"

const (
	npduVersion = 1

	controlMessage     = 0x80
	controlDestination = 0x20
	controlSource      = 0x08
	controlReply       = 0x04

	// DefaultHops is the number of routers that a message may pass.
	DefaultHops = 255
)

// An NPDU is a message of the network layer.
type NPDU struct {
	Destination Station // Net zero: the receiver itself
	Source      Station // Net zero: the sender itself
	Hops        uint8   // with a Destination; zero stands for DefaultHops when encoding
	Reply       bool    // an answer is expected
	Message     bool    // of the network layer itself: the payload is no APDU
	Payload     []byte
}

// Append appends the header of n and its payload.
func (n *NPDU) Append(dst []byte) []byte {
	control := byte(0)
	if n.Message {
		control |= controlMessage
	}
	if n.Destination.Net != 0 {
		control |= controlDestination
	}
	if n.Source.Net != 0 {
		control |= controlSource
	}
	if n.Reply {
		control |= controlReply
	}
	dst = append(dst, npduVersion, control)
	if n.Destination.Net != 0 {
		dst = n.Destination.append(dst)
	}
	if n.Source.Net != 0 {
		dst = n.Source.append(dst)
	}
	if n.Destination.Net != 0 {
		hops := n.Hops
		if hops == 0 {
			hops = DefaultHops
		}
		dst = append(dst, hops)
	}
	return append(dst, n.Payload...)
}

func (s *Station) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, s.Net)
	dst = append(dst, s.MAC.size)
	return append(dst, s.MAC.Bytes()...)
}

// ParseNPDU takes a message of the network layer apart.
func ParseNPDU(b []byte) (NPDU, error) {
	if len(b) < 2 || b[0] != npduVersion {
		return NPDU{}, malformed("not a network message of version 1")
	}
	control, rest := b[1], b[2:]
	n := NPDU{Reply: control&controlReply != 0, Message: control&controlMessage != 0}
	var err error
	if control&controlDestination != 0 {
		if n.Destination, rest, err = parseStation(rest); err != nil {
			return NPDU{}, err
		}
	}
	if control&controlSource != 0 {
		if n.Source, rest, err = parseStation(rest); err != nil {
			return NPDU{}, err
		}
		if n.Source.Net == AllNetworks || n.Source.MAC.size == 0 {
			return NPDU{}, malformed("source is a broadcast address")
		}
	}
	if control&controlDestination != 0 {
		if len(rest) == 0 {
			return NPDU{}, malformed("hop count is missing")
		}
		n.Hops, rest = rest[0], rest[1:]
	}
	n.Payload = rest
	return n, nil
}

func parseStation(b []byte) (Station, []byte, error) {
	if len(b) < 3 || len(b) < 3+int(b[2]) {
		return Station{}, nil, malformed("network address is too short")
	}
	mac, ok := NewMAC(b[3 : 3+int(b[2])])
	net := binary.BigEndian.Uint16(b)
	if !ok || net == 0 {
		return Station{}, nil, malformed("network address")
	}
	return Station{Net: net, MAC: mac}, b[3+int(b[2]):], nil
}
