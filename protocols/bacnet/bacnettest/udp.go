package bacnettest

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A Server is a device at a UDP socket.
type Server struct {
	conn *net.UDPConn
	wg   sync.WaitGroup
}

// Listen makes a device answer at an address, such as 127.0.0.1:0.
func Listen(addr string, d *Device) (*Server, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	s := &Server{conn: conn}
	s.wg.Go(func() { s.serve(d) })
	return s, nil
}

// Addr returns the address of the socket.
func (s *Server) Addr() string { return s.conn.LocalAddr().String() }

// Close closes the socket and waits until nothing is answered any more.
func (s *Server) Close() error {
	err := s.conn.Close()
	s.wg.Wait()
	return err
}

func (s *Server) serve(d *Device) {
	buf := make([]byte, wire.MaxDatagram+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		f, err := wire.ParseFrame(buf[:n])
		if err != nil || f.NPDU == nil {
			continue
		}
		if f.Function == wire.ForwardedNPDU {
			from = f.Origin
		}
		npdu, err := wire.ParseNPDU(f.NPDU)
		if err != nil {
			continue
		}
		a, err := wire.ParseAPDU(npdu.Payload)
		if err != nil {
			continue
		}
		d.Handle(wire.Address{IP: from}, &a, func(answer *wire.APDU) {
			n := wire.NPDU{Reply: answer.Type == wire.ConfirmedRequest}
			b := wire.Finish(answer.Append(n.Append(wire.Begin(nil, wire.OriginalUnicast))))
			_, _ = s.conn.WriteToUDPAddrPort(b, from)
		})
	}
}
