package bacnet

import (
	"context"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// probeAfter is the number of Who-Is without an answer after which a device with a
// fixed address is asked directly.
const probeAfter = 2

// discover asks for the devices until ctx is done: at first after short times, as
// datagrams get lost, and then with the period of the configuration.
func (s *session) discover(ctx context.Context) {
	period := s.c.cfg.Discover
	wait := backoff.Backoff{Shortest: min(time.Second, period), Longest: period}
	for round := 0; ctx.Err() == nil; round++ {
		s.whoIs()
		if round >= probeAfter {
			s.probe(ctx)
		}
		if backoff.Sleep(ctx, min(wait.Next(), period)) != nil {
			return
		}
	}
}

// whoIs sends each Who-Is that is needed once.
func (s *session) whoIs() {
	type request struct {
		to        wire.Address
		low, high uint32
	}
	sent := make(map[request]bool)
	var buf []byte
	for _, e := range s.c.entries {
		if e.only() && !s.missing(e) {
			continue
		}
		r := request{to: wire.Address{Station: wire.Station{Net: wire.AllNetworks}}}
		if !e.anywhere {
			r.to = e.pattern.target()
		}
		r.low, r.high = e.limits()
		if sent[r] {
			continue
		}
		sent[r] = true
		a := &wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceWhoIs, Payload: wire.AppendWhoIs(nil, r.low, r.high)}
		var err error
		if buf, err = s.end.send(buf, r.to, a); err != nil {
			s.log.Debug("Who-Is was not sent", slog.Any("error", err))
		}
	}
}

// probe asks the devices that have a fixed address and did not answer Who-Is for
// their device objects, as some answer where the gateway cannot hear them.
func (s *session) probe(ctx context.Context) {
	for _, e := range s.c.entries {
		if !e.only() || !s.missing(e) || ctx.Err() != nil {
			continue
		}
		p := newPeer(s.end, &s.c.cfg, e.Timeout)
		p.addr, p.alternatives = e.pattern.addr, e.alternatives
		i, err := p.introduce(ctx)
		if err == nil && e.wants(p.addr, i) {
			s.meet(e, p.addr, i)
		}
	}
}

// introduce reads of a device what it says in an I-Am.
func (p *peer) introduce(ctx context.Context) (wire.IAm, error) {
	id, err := p.readAs(ctx, wire.NewObjectID(wire.DeviceObject, wire.AnyInstance), wire.ObjectIdentifierProperty, wire.ObjectIDKind)
	if err != nil {
		return wire.IAm{}, err
	}
	i := wire.IAm{Device: id.ObjectID(), MaxAPDU: uint32(wire.Length(0)), Segmentation: wire.NoSegmentation}
	if v, err := p.readAs(ctx, i.Device, wire.MaxAPDULengthAccepted, wire.Unsigned); err == nil {
		i.MaxAPDU = uint32(min(v.Bits, uint64(wire.MaxDatagram)))
	}
	if v, err := p.readAs(ctx, i.Device, wire.SegmentationSupported, wire.Enumerated); err == nil && v.Bits <= uint64(wire.NoSegmentation) {
		i.Segmentation = wire.Segmentation(v.Bits)
	}
	if v, err := p.readAs(ctx, i.Device, wire.VendorIdentifier, wire.Unsigned); err == nil {
		i.Vendor = uint16(v.Bits)
	}
	return i, nil
}

// readAs reads a property that is one value of a kind.
func (p *peer) readAs(ctx context.Context, o wire.ObjectID, property wire.Property, kind wire.Kind) (wire.Value, error) {
	raw, err := p.read(ctx, wire.Reference{Object: o, Property: property, Index: wire.WholeArray}, 0)
	if err != nil {
		return wire.Value{}, err
	}
	d := wire.NewDecoder(raw)
	v := d.ApplicationOf(kind)
	return v.Clone(), d.Err()
}
