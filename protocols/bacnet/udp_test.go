package bacnet_test

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A BBMD registers foreign devices, and passes their broadcasts on to one device.
type bbmd struct {
	conn                      *net.UDPConn
	refuse                    atomic.Bool
	iAm                       []byte // network message; what it answers broadcasts with, in the device's name
	registrations, broadcasts atomic.Int64
}

func newBBMD(t *testing.T, device string, iAm []byte) *bbmd {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	require.NoError(t, err)
	b := &bbmd{conn: conn, iAm: iAm}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			f, err := wire.ParseFrame(buf[:n])
			if err != nil {
				continue
			}
			switch f.Function {
			case wire.RegisterForeignDevice:
				b.registrations.Add(1)
				code := uint16(0)
				if b.refuse.Load() {
					code = 0x30
				}
				_, _ = conn.WriteToUDPAddrPort(wire.AppendResult(nil, code), from)
			case wire.DistributeBroadcast:
				b.broadcasts.Add(1)
				if b.iAm != nil {
					_, _ = conn.WriteToUDPAddrPort(wire.Finish(append(wire.AppendForwarded(nil, netip.MustParseAddrPort(device)), b.iAm...)), from)
					continue
				}
				forwarded := wire.Finish(append(wire.AppendForwarded(nil, from), f.NPDU...))
				_, _ = conn.WriteToUDPAddrPort(forwarded, netip.MustParseAddrPort(device))
			}
		}
	}()
	return b
}

func TestAForeignDeviceRegistersAndBroadcastsByTheBBMD(t *testing.T) {
	d := bacnettest.NewDevice(7, "AHU")
	d.Set(ai(0), wire.PresentValue, wire.RealValue(21.5))
	s, err := bacnettest.Listen("127.0.0.1:0", d)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	b := newBBMD(t, s.Addr(), nil)
	b.refuse.Store(true)
	host := newLogged(t)
	stop := start(t, bacnet.New(bacnet.Config{
		Local:    bacnet.Local{Host: "127.0.0.1", Mask: 8, Port: -1, Instance: 599},
		Foreign:  bacnet.Foreign{Address: b.conn.LocalAddr().String(), TTL: 2 * time.Second},
		Discover: 100 * time.Millisecond,
		Devices: []bacnet.Device{{
			Name: "${objectName}", Instances: []bacnet.Range{{First: 7, Last: 7}}, Poll: 20 * time.Millisecond,
			Items: []bacnet.Item{{Key: "t", Objects: bacnet.Object(wire.AnalogInput, 0)}},
		}},
	}), host)
	eventually(t, "it tries to register", func() bool { return b.registrations.Load() >= 2 })
	b.refuse.Store(false)
	eventually(t, "the device is found through the BBMD", is(host.Host, "AHU", "t", telemetry.Float32(21.5)))
	n := b.registrations.Load()
	eventually(t, "the registration is renewed", func() bool { return b.registrations.Load() >= n+2 })
	require.Positive(t, b.broadcasts.Load())
	stop()
	require.Contains(t, host.book.String(), "refused: foreign-device-registration-refused")
	require.Contains(t, host.book.String(), "registered as a foreign device")
}

func TestADeviceThatABBMDForwardsIsReadWhereItIs(t *testing.T) {
	d := bacnettest.NewDevice(7, "AHU")
	d.Set(ai(0), wire.PresentValue, wire.RealValue(21.5))
	s, err := bacnettest.Listen("127.0.0.1:0", d)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	i := wire.IAm{Device: wire.NewObjectID(wire.DeviceObject, 7), MaxAPDU: 1476, Segmentation: wire.NoSegmentation, Vendor: 15}
	a := wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceIAm, Payload: i.Append(nil)}
	n := wire.NPDU{}
	b := newBBMD(t, s.Addr(), a.Append(n.Append(nil)))
	host := connectortest.NewHost(t)
	start(t, bacnet.New(bacnet.Config{
		Local:    bacnet.Local{Host: "127.0.0.1", Mask: 8, Port: -1, Instance: 599},
		Foreign:  bacnet.Foreign{Address: b.conn.LocalAddr().String()},
		Discover: 100 * time.Millisecond,
		Devices: []bacnet.Device{{
			Name: "${objectName}", Instances: []bacnet.Range{{First: 7, Last: 7}}, Poll: 20 * time.Millisecond,
			Items: []bacnet.Item{{Key: "t", Objects: bacnet.Object(wire.AnalogInput, 0)}},
		}},
	}), host)
	eventually(t, "it is read", is(host, "AHU", "t", telemetry.Float32(21.5)))
}

func TestSegmentsOverUDP(t *testing.T) {
	d := bacnettest.NewDevice(7, "AHU")
	d.MaxAPDU, d.Segmentation = 206, wire.SegmentedBoth
	for i := range uint32(1000) {
		d.Set(ai(i), wire.PresentValue, wire.RealValue(float32(i)))
	}
	s, err := bacnettest.Listen("127.0.0.1:0", d)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	host := connectortest.NewHost(t)
	start(t, bacnet.New(bacnet.Config{
		Local: bacnet.Local{Host: "127.0.0.1", Mask: 8, Port: -1, Instance: 599},
		Devices: []bacnet.Device{{
			Name: "AHU", Address: s.Addr(), Poll: 20 * time.Millisecond,
			Items: []bacnet.Item{{Key: "AI ${objectId}", Objects: bacnet.Objects(wire.AnalogInput)}},
		}},
	}), host)
	readAll(t, host, 1000)
}

// A socket that is bound to its own address does not hear broadcasts on Unix: the
// second one does.
func TestBroadcastsAreHeard(t *testing.T) {
	link, err := bacnet.Listen(t.Context(), bacnet.Local{Host: "127.0.0.1", Mask: 8, Port: -1})
	require.NoError(t, err)
	heard := make(chan string, 10)
	done := make(chan error, 1)
	go func() { done <- link.Serve(func(b []byte, _ netip.AddrPort) { heard <- string(b) }) }()
	other, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	require.NoError(t, err)
	defer other.Close()
	_, err = other.WriteToUDPAddrPort([]byte("hello"), link.Broadcast())
	require.NoError(t, err)
	select {
	case got := <-heard:
		require.Equal(t, "hello", got)
	case <-time.After(10 * time.Second):
		t.Error("a broadcast was not heard")
	}
	require.NoError(t, link.Close())
	require.NoError(t, <-done)
}
