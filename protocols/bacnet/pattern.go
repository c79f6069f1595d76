package bacnet

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A Pattern says which addresses are meant.
type Pattern struct {
	text   string
	fixed  bool
	addr   wire.Address // that is meant, or of the broadcast that reaches all of them
	global bool         // they are on all networks

	everything    bool
	local, routed bool
	network       *regexp.Regexp // of routed; nil: all
	host, port    *regexp.Regexp // of local addresses, and of IP addresses behind routers
	station       *regexp.Regexp // of routed; nil: all
}

// ParsePattern reads a pattern of addresses:
//
//	192.0.2.10            the device at this address and port 47808
//	192.0.2.10:47809      and this port
//	192.0.2.X  X.X.X.X:*  X stands for a number, :* for any port
//	*  *:47809            all devices of the local network with port 47808, or this one
//	*:*                   all of the local network, and stations of other networks
//	5:12  5:*  5:0x0a0b   stations of network 5
//	5:192.0.2.10:47808    a station of network 5 that has an IP address
//	*:*:*                 everything
//
// A mask as in 192.0.2.10/24 has no meaning and is left out.
func ParsePattern(s string) (Pattern, error) {
	text, _, _ := strings.Cut(s, "@")
	if before, after, ok := strings.Cut(text, "/"); ok {
		_, port, found := strings.Cut(after, ":")
		if text = before; found {
			text += ":" + port
		}
	}
	p := Pattern{text: s}
	if addr, err := wire.ParseAddress(text); err == nil {
		p.fixed, p.addr = true, addr
		return p, nil
	}
	parts := strings.Split(text, ":")
	var err error
	switch len(parts) {
	case 1:
		err = p.parseLocal(parts[0], strconv.Itoa(wire.DefaultPort))
	case 2:
		if isNetwork(parts[0]) {
			err = p.parseRouted(parts[0], parts[1])
			break
		}
		err = p.parseLocal(parts[0], parts[1])
		p.routed = text == "*:*"
		p.global = parts[1] == "*"
	case 3:
		p.everything, p.global = text == "*:*:*", parts[0] == "*"
		err = p.parseRouted(parts[0], parts[1]+":"+parts[2])
	default:
		err = fmt.Errorf("it has %d parts", len(parts))
	}
	if err != nil {
		return Pattern{}, fmt.Errorf("%q is not an address or a pattern of addresses: %w", s, err)
	}
	return p, nil
}

func isNetwork(s string) bool {
	return s != "" && strings.Trim(s, "0123456789X") == ""
}

func (p *Pattern) parseLocal(host, port string) (err error) {
	p.local = true
	if host != "*" && strings.Count(host, ".") != 3 {
		return fmt.Errorf("%q is not an IPv4 address", host)
	}
	if p.host, err = wildcard(host); err != nil {
		return err
	}
	p.port, err = wildcard(port)
	return err
}

func (p *Pattern) parseRouted(network, station string) (err error) {
	p.routed = true
	if p.network, err = wildcard(network); err != nil {
		return err
	}
	if n, err := strconv.ParseUint(network, 10, 16); err == nil {
		p.addr.Station.Net = uint16(n)
	} else {
		p.global = true
	}
	if station == "*:*" {
		station = "*"
	}
	host, port, ok := strings.Cut(station, ":")
	if ok && port == "*" {
		p.station, err = wildcard(host)
		if p.station != nil {
			p.station, err = regexp.Compile(strings.TrimSuffix(p.station.String(), "$") + `(:\d+)?$`)
		}
		return err
	}
	p.station, err = wildcard(strings.TrimSuffix(station, ":"+strconv.Itoa(wire.DefaultPort)))
	return err
}

// wildcard compiles a part of a pattern. Nil: it matches everything.
func wildcard(s string) (*regexp.Regexp, error) {
	if s == "*" {
		return nil, nil //nolint:nilnil // nil stands for everything
	}
	if s == "" || strings.Trim(s, "0123456789abcdefxX.:") != "" {
		return nil, fmt.Errorf("%q", s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 'X' {
			b.WriteString(regexp.QuoteMeta(s[i : i+1]))
			continue
		}
		if i == 0 || s[i-1] != 'X' {
			b.WriteString(`\d+`)
		}
	}
	return regexp.Compile("^" + b.String() + "$")
}

// String returns the text of p.
func (p Pattern) String() string { return p.text }

// Match reports whether a is meant.
func (p Pattern) Match(a wire.Address) bool {
	if p.everything {
		return true
	}
	if p.fixed {
		if p.addr.Station.Net == 0 {
			return a == p.addr
		}
		return a.Station == p.addr.Station
	}
	if a.Station.Net == 0 {
		return p.local && matches(p.host, a.IP.Addr().String()) && matches(p.port, strconv.Itoa(int(a.IP.Port())))
	}
	return p.routed && matches(p.network, strconv.Itoa(int(a.Station.Net))) && matches(p.station, a.Station.MAC.String())
}

func matches(r *regexp.Regexp, s string) bool { return r == nil || r.MatchString(s) }

// target returns where a Who-Is for these addresses is sent. An IP address that is
// not valid stands for a broadcast.
func (p Pattern) target() wire.Address {
	switch {
	case p.fixed:
		return p.addr
	case p.global || p.everything:
		return wire.Address{Station: wire.Station{Net: wire.AllNetworks}}
	default:
		return wire.Address{IP: netip.AddrPort{}, Station: p.addr.Station}
	}
}
