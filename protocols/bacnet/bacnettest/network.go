package bacnettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// queue is the number of datagrams that may wait for a link; more get lost.
const queue = 1 << 15

// A Network is a local network in memory. Its links hear each other and the devices
// that were added, and its devices the links. The zero Network is ready to use, and
// safe for concurrent use.
type Network struct {
	// Sees, if not nil, is shown each datagram that a link sends. It must not
	// retain it.
	Sees func(b []byte)

	mu      sync.Mutex
	devices []place
	links   map[netip.AddrPort]*link
	ears    map[netip.AddrPort]chan wire.APDU // of who waits in Say
}

// A place is where a device is.
type place struct {
	addr   wire.Address
	device *Device
}

// Add adds a device at an address in the form of [wire.ParseAddress]. A device of
// another network is behind the router at the given IP address.
func (n *Network) Add(d *Device, address string, router ...string) error {
	a, err := wire.ParseAddress(address)
	if err != nil {
		return err
	}
	if a.Station.Net != 0 {
		if len(router) != 1 {
			return errors.New("bacnettest: a device of another network needs a router")
		}
		r, err := wire.ParseAddress(router[0])
		if err != nil {
			return err
		}
		a.IP = r.IP
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.devices = append(n.devices, place{addr: a, device: d})
	return nil
}

// Move gives a device another address.
func (n *Network) Move(d *Device, address string) error {
	n.mu.Lock()
	for i, p := range n.devices {
		if p.device == d {
			n.devices = append(n.devices[:i], n.devices[i+1:]...)
			break
		}
	}
	n.mu.Unlock()
	return n.Add(d, address)
}

// Open is a [bacnet.Opener].
func (n *Network) Open(_ context.Context, l bacnet.Local) (bacnet.Link, error) {
	host, err := netip.ParseAddr(l.Host)
	if err != nil {
		return nil, err
	}
	addr := netip.AddrPortFrom(host, uint16(l.Port))
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links == nil {
		n.links = make(map[netip.AddrPort]*link)
	}
	if n.links[addr] != nil {
		return nil, fmt.Errorf("bacnettest: %s is in use", addr)
	}
	k := &link{network: n, addr: addr, in: make(chan datagram, queue), closed: make(chan struct{})}
	n.links[addr] = k
	return k, nil
}

type datagram struct {
	b    []byte
	from netip.AddrPort
}

type link struct {
	network *Network
	addr    netip.AddrPort
	in      chan datagram
	closed  chan struct{}
	once    sync.Once
}

// Serve implements bacnet.Link.
func (k *link) Serve(handle func(b []byte, from netip.AddrPort)) error {
	for {
		select {
		case d := <-k.in:
			handle(d.b, d.from)
		case <-k.closed:
			return nil
		}
	}
}

// Broadcast implements bacnet.Link.
func (k *link) Broadcast() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), k.addr.Port())
}

// Own implements bacnet.Link.
func (k *link) Own(from netip.AddrPort) bool { return from == k.addr }

// Close implements bacnet.Link.
func (k *link) Close() error {
	k.once.Do(func() {
		k.network.mu.Lock()
		delete(k.network.links, k.addr)
		k.network.mu.Unlock()
		close(k.closed)
	})
	return nil
}

// Send implements bacnet.Link.
func (k *link) Send(b []byte, to netip.AddrPort) error {
	select {
	case <-k.closed:
		return net.ErrClosed
	default:
	}
	if k.network.Sees != nil {
		k.network.Sees(b)
	}
	f, err := wire.ParseFrame(b)
	if err != nil || f.NPDU == nil {
		return err
	}
	n, err := wire.ParseNPDU(f.NPDU)
	if err != nil {
		return err
	}
	a, err := wire.ParseAPDU(n.Payload)
	if err != nil {
		return err
	}
	k.network.listen(to, a)
	k.network.mu.Lock()
	devices, broadcast := append([]place(nil), k.network.devices...), to == k.Broadcast()
	k.network.mu.Unlock()
	for _, p := range devices {
		if (broadcast || p.addr.IP == to) && p.hears(n.Destination) {
			p.device.Handle(wire.Address{IP: k.addr}, &a, func(answer *wire.APDU) { k.deliver(p.addr, answer) })
		}
	}
	return nil
}

// hears reports whether a message to a station is for the device.
func (p place) hears(to wire.Station) bool {
	all := to.MAC == wire.MAC{}
	switch to.Net {
	case wire.AllNetworks:
		return true
	case p.addr.Station.Net:
		return all || to.MAC == p.addr.Station.MAC
	default:
		return false
	}
}

// deliver brings what a device says to the link.
func (k *link) deliver(from wire.Address, a *wire.APDU) {
	n := wire.NPDU{Source: from.Station, Reply: a.Type == wire.ConfirmedRequest}
	b := wire.Finish(a.Append(n.Append(wire.Begin(nil, wire.OriginalUnicast))))
	select {
	case k.in <- datagram{b: b, from: from.IP}:
	default:
	}
}

// Say sends an APDU from an address to the links of the network, and returns what one
// of them answers to it. It waits a second for that.
func (n *Network) Say(from string, a wire.APDU) wire.APDU {
	station, err := wire.ParseAddress(from)
	if err != nil {
		return wire.APDU{}
	}
	answers := make(chan wire.APDU, 16)
	n.mu.Lock()
	if n.ears == nil {
		n.ears = make(map[netip.AddrPort]chan wire.APDU)
	}
	n.ears[station.IP] = answers
	for _, k := range n.links {
		k.deliver(station, &a)
	}
	n.mu.Unlock()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		select {
		case answer := <-answers:
			if answer.Type == wire.UnconfirmedRequest && answer.Service == wire.ServiceIAm || answer.InvokeID == a.InvokeID && answer.Type > wire.UnconfirmedRequest {
				return answer
			}
		case <-timer.C:
			return wire.APDU{}
		}
	}
}

// listen gives what was sent to the address to who waits for it in Say.
func (n *Network) listen(to netip.AddrPort, a wire.APDU) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a.Payload = slices.Clone(a.Payload)
	select {
	case n.ears[to] <- a:
	default: // nobody waits, or the channel is nil
	}
}

// Links returns the number of links that are open.
func (n *Network) Links() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links)
}
