package bacnet_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A counter is a device whose objects are the messages.
type counter struct{ d *bacnettest.Device }

// Send implements connectortest.Source.
func (c *counter) Send(id int64) {
	c.d.Set(wire.NewObjectID(wire.PositiveIntegerValue, uint32(id)), wire.PresentValue, wire.UnsignedValue(uint64(id)))
}

// Acked implements connectortest.Source.
func (c *counter) Acked() []int64 { return nil }

func TestConformanceOfPolling(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		NoAck: true, Patience: 20 * time.Second,
		RPC: []connector.RPCRequest{{Device: "AHU", Method: "get", Params: []byte(`"objectType=device;objectId=7;propertyId=objectName;"`)}},
		New: func(*testing.T) (connector.Connector, connectortest.Source) {
			n, d := &bacnettest.Network{}, bacnettest.NewDevice(7, "AHU")
			_ = n.Add(d, "192.0.2.10")
			return bacnet.New(bacnet.Config{
				Local: bacnet.Local{Host: "192.0.2.1", Instance: 599}, Sockets: bacnet.NewSockets(n.Open), Rescan: 20 * time.Millisecond,
				Devices: []bacnet.Device{{
					Name: "${objectName}", Address: "*", Poll: 20 * time.Millisecond,
					Items: []bacnet.Item{{Key: "id", Objects: bacnet.Objects(wire.PositiveIntegerValue)}},
				}},
			}), &counter{d: d}
		},
	})
}

// A subscribed source has one object, whose changes are the messages. It repeats the
// notifications that are not acknowledged.
type subscribed struct {
	d  *bacnettest.Device
	mu sync.Mutex
	at []int64
}

func (s *subscribed) object() wire.ObjectID { return wire.NewObjectID(wire.PositiveIntegerValue, 1) }

// Send implements connectortest.Source.
func (s *subscribed) Send(id int64) {
	s.d.Queue(s.object(), wire.UnsignedValue(uint64(id)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, id)
}

// Acked implements connectortest.Source.
func (s *subscribed) Acked() (ids []int64) {
	for _, v := range s.d.Acknowledged(s.object()) {
		ids = append(ids, int64(v.Bits))
	}
	return ids
}

func TestConformanceOfConfirmedNotifications(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		Patience: 20 * time.Second,
		RPC:      []connector.RPCRequest{{Device: "AHU", Method: "get", Params: []byte(`"objectType=device;objectId=7;propertyId=objectName;"`)}},
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			n, d := &bacnettest.Network{}, bacnettest.NewDevice(7, "AHU")
			_ = n.Add(d, "192.0.2.10")
			s := &subscribed{d: d}
			d.Set(s.object(), wire.PresentValue, wire.NullValue())
			stop := d.Repeat(20 * time.Millisecond)
			t.Cleanup(stop)
			return bacnet.New(bacnet.Config{
				Local: bacnet.Local{Host: "192.0.2.1", Instance: 599}, Sockets: bacnet.NewSockets(n.Open),
				Devices: []bacnet.Device{{
					Name: "${objectName}", Address: "192.0.2.10", Poll: time.Hour, COV: bacnet.COV{Enabled: true},
					Items: []bacnet.Item{{Key: "id", Objects: bacnet.Object(wire.PositiveIntegerValue, 1)}},
				}},
			}), s
		},
	})
}
