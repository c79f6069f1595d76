package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultPort is the UDP port of BACnet/IP, 0xBAC0.
const DefaultPort = 47808

// AllNetworks is the network number of a broadcast on all networks.
const AllNetworks = 0xFFFF

// maxMAC is the length of the longest address on a data link (LonTalk has 7 bytes).
const maxMAC = 8

// A MAC is the address of a station on its own network, 0 to 8 bytes. It is
// comparable. The zero MAC stands for all stations.
type MAC struct {
	bytes [maxMAC]byte
	size  uint8
}

// NewMAC returns the address that consists of b. It reports false if b is too long.
func NewMAC(b []byte) (m MAC, ok bool) {
	if len(b) > maxMAC {
		return MAC{}, false
	}
	m.size = uint8(copy(m.bytes[:], b))
	return m, true
}

// Bytes returns the address.
func (m *MAC) Bytes() []byte { return m.bytes[:m.size] }

// String returns one byte as a decimal number, six bytes as an IP address with its
// port, and anything else in hexadecimal.
func (m MAC) String() string {
	b := m.Bytes()
	switch len(b) {
	case 0:
		return "*"
	case 1:
		return strconv.Itoa(int(b[0]))
	case 6:
		return ipText(netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5])))
	default:
		return "0x" + hex.EncodeToString(b)
	}
}

// A Station is an address on a network that is reached through a router. Its Net is
// zero for none.
type Station struct {
	Net uint16
	MAC MAC
}

// An Address is where a device is: the address of the device itself, or that of a
// router and the station behind it. It is comparable.
type Address struct {
	IP      netip.AddrPort
	Station Station
}

// String returns the address as configuration files have it: 192.0.2.1, with :port
// if it is not 47808, or 5:12 for station 12 of network 5.
func (a Address) String() string {
	if a.Station.Net != 0 {
		return strconv.Itoa(int(a.Station.Net)) + ":" + a.Station.MAC.String()
	}
	return ipText(a.IP)
}

func ipText(ip netip.AddrPort) string {
	if ip.Port() == DefaultPort {
		return ip.Addr().String()
	}
	return ip.String()
}

// ParseAddress reads an address: 192.0.2.1, 192.0.2.1:47809, 5:12, 5:0x0a0b,
// 5:192.0.2.1:47808. An address behind a router does not say which router.
func ParseAddress(s string) (Address, error) {
	if ip, err := parseIP(s); err == nil {
		return Address{IP: ip}, nil
	}
	network, station, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(network, 10, 16)
	if !ok || err != nil || n == 0 || n == AllNetworks {
		return Address{}, fmt.Errorf("wire: %q is not an address", s)
	}
	mac, err := parseMAC(station)
	if err != nil {
		return Address{}, fmt.Errorf("wire: %q is not an address: %w", s, err)
	}
	return Address{Station: Station{Net: uint16(n), MAC: mac}}, nil
}

func parseIP(s string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if !addr.Is4() {
			return netip.AddrPort{}, errors.New("not an IPv4 address")
		}
		return netip.AddrPortFrom(addr, DefaultPort), nil
	}
	ip, err := netip.ParseAddrPort(s)
	if err == nil && !ip.Addr().Is4() {
		err = errors.New("not an IPv4 address")
	}
	return ip, err
}

func parseMAC(s string) (MAC, error) {
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return MAC{}, fmt.Errorf("station %q: %w", s, err)
		}
		if m, ok := NewMAC(b); ok && len(b) > 0 {
			return m, nil
		}
		return MAC{}, fmt.Errorf("station %q is not 1 to %d bytes long", s, maxMAC)
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return MAC{bytes: [maxMAC]byte{byte(n)}, size: 1}, nil
	}
	ip, err := parseIP(s)
	if err != nil {
		return MAC{}, fmt.Errorf("station %q: %w", s, err)
	}
	b := ip.Addr().As4()
	m, _ := NewMAC([]byte{b[0], b[1], b[2], b[3], byte(ip.Port() >> 8), byte(ip.Port())})
	return m, nil
}
