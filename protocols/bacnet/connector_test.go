package bacnet_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func ai(n uint32) wire.ObjectID { return wire.NewObjectID(wire.AnalogInput, n) }

func pv(o wire.ObjectID) wire.Reference {
	return wire.Reference{Object: o, Property: wire.PresentValue, Index: wire.WholeArray}
}

// plant returns a device with n analog inputs, whose values are their numbers.
func plant(tb testing.TB, net *bacnettest.Network, address string, n uint32) *bacnettest.Device {
	tb.Helper()
	d := bacnettest.NewDevice(7, "AHU")
	for i := range n {
		d.Set(ai(i), wire.ObjectName, wire.TextValue(fmt.Sprintf("AI %d", i)))
		d.Set(ai(i), wire.PresentValue, wire.RealValue(float32(i)))
	}
	require.NoError(tb, net.Add(d, address))
	return d
}

// all is a configuration that reads all objects of the device that plant makes.
func all(net *bacnettest.Network, change func(*bacnet.Device)) bacnet.Config {
	d := bacnet.Device{
		Name: "AHU", Address: "192.0.2.10", Poll: 20 * time.Millisecond,
		Items: []bacnet.Item{{Key: "${objectName}", Objects: bacnet.Objects(wire.AnalogInput)}},
	}
	if change != nil {
		change(&d)
	}
	return bacnet.Config{
		Local: bacnet.Local{Host: "192.0.2.1", Instance: 599}, Sockets: bacnet.NewSockets(net.Open), Devices: []bacnet.Device{d},
		Timeout: 100 * time.Millisecond, Shortest: 20 * time.Millisecond, Longest: 50 * time.Millisecond,
	}
}

// readAll waits until all values of plant were reported.
func readAll(tb testing.TB, h *connectortest.Host, n int) {
	tb.Helper()
	eventually(tb, "all values are reported", func() bool {
		values := make(map[string]telemetry.Value)
		for _, r := range h.Readings(false) {
			values[r.Key] = r.Value
		}
		for i := range n {
			if values[fmt.Sprintf("AI %d", i)] != telemetry.Float32(float32(i)) {
				return false
			}
		}
		return true
	})
}

// longest returns the most references of a request, and the number of requests of a
// service.
func longest(list []bacnettest.Request, service uint8) (most, count int) {
	for _, r := range list {
		if r.Service == service {
			most, count = max(most, len(r.References)), count+1
		}
	}
	return most, count
}

func TestRequestsFitTheMessagesOfTheDevice(t *testing.T) {
	for _, length := range []int{50, 128, 206, 480, 1024, 1476} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			var n bacnettest.Network
			d := plant(t, &n, "192.0.2.10", 60)
			d.MaxAPDU = length
			tooLong := 0
			n.Sees = func(b []byte) {
				if len(b)-6 > length { // without the frame and the network header
					tooLong++
				}
			}
			host := connectortest.NewHost(t)
			stop := start(t, bacnet.New(all(&n, nil)), host)
			readAll(t, host, 60)
			stop()
			require.Zero(t, tooLong)
			require.LessOrEqual(t, d.Aborted(), 1, "only the list of objects may have been too long in one answer")
			_, multiple := longest(d.Requests(), wire.ServiceReadPropertyMultiple)
			require.Positive(t, multiple)
		})
	}
}

func TestADeviceWithoutReadPropertyMultipleIsReadPropertyByProperty(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 20)
	d.NoMultiple = true
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, nil)), host)
	readAll(t, host, 20)
	_, multiple := longest(d.Requests(), wire.ServiceReadPropertyMultiple)
	require.LessOrEqual(t, multiple, 1, "it was asked once")
}

func TestADeviceThatAbortsLongAnswersGetsShorterRequests(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 40)
	d.MostResults = 6
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, nil)), host)
	readAll(t, host, 40)
	eventually(t, "requests are short enough", func() bool {
		aborted, seen := d.Aborted(), len(host.Readings(false))
		eventually(t, "it is polled", func() bool { return len(host.Readings(false)) > seen+200 })
		return d.Aborted() == aborted
	})
}

func TestOneBadPropertyCostsNoOther(t *testing.T) {
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails the whole request: %v", together), func(t *testing.T) {
			var n bacnettest.Network
			d := plant(t, &n, "192.0.2.10", 20)
			d.NoPartial = together
			d.Fail(pv(ai(5)), wire.Error{Class: wire.ClassProperty, Code: wire.CodeUnknownProperty})
			host := newLogged(t)
			c := bacnet.New(all(&n, nil))
			stop := start(t, c, host)
			eventually(t, "the others are read", func() bool {
				return latest(host.Host, "AHU", "AI 4").Valid() && latest(host.Host, "AHU", "AI 6").Valid() && latest(host.Host, "AHU", "AI 19").Valid()
			})
			before := len(host.Readings(false))
			eventually(t, "they are read again", func() bool { return len(host.Readings(false)) > before+100 })
			stop()
			require.False(t, latest(host.Host, "AHU", "AI 5").Valid())
			log := host.book.String()
			require.Equal(t, 1, strings.Count(log, "property cannot be read"), log)
			require.Contains(t, log, "analog-input,5:present-value")
			require.Contains(t, log, "property: unknown-property")
		})
	}
}

func TestSegmentedAnswersArriveWholeWhateverGetsLost(t *testing.T) {
	for name, drop := range map[string]func(sequence uint8, attempt int) bool{
		"nothing":               nil,
		"every third, once":     func(sequence uint8, attempt int) bool { return attempt == 1 && sequence%3 == 2 },
		"two in a row":          func(sequence uint8, attempt int) bool { return attempt == 1 && (sequence == 4 || sequence == 5) },
		"the first of a window": func(sequence uint8, attempt int) bool { return attempt == 1 && sequence%4 == 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var n bacnettest.Network
			d := plant(t, &n, "192.0.2.10", 400)
			d.MaxAPDU, d.Segmentation, d.Drop = 128, wire.SegmentedBoth, drop
			host := connectortest.NewHost(t)
			start(t, bacnet.New(all(&n, func(d *bacnet.Device) { d.Items[0].Key = "AI ${objectId}" })), host)
			eventually(t, "the values are reported", func() bool { return latest(host, "AHU", "AI 399").Valid() })
			readAll(t, host, 400)
			counts := 0
			for _, r := range d.Requests() {
				for _, ref := range r.References {
					if ref.Property == wire.ObjectList && ref.Index != wire.WholeArray && ref.Index != 0 {
						counts++
					}
				}
			}
			require.Zero(t, counts, "the list of objects came in one answer")
		})
	}
}

func TestALongListOfObjectsIsReadElementByElement(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 300)
	d.MaxAPDU = 480
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, nil)), host)
	readAll(t, host, 300)
}

func TestADeviceGoesOfflineAndComesBack(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 3)
	other := bacnettest.NewDevice(8, "other")
	other.Set(ai(0), wire.ObjectName, wire.TextValue("AI 0"))
	other.Set(ai(0), wire.PresentValue, wire.RealValue(1))
	require.NoError(t, n.Add(other, "192.0.2.11"))
	cfg := all(&n, nil)
	second := cfg.Devices[0]
	second.Name, second.Address = "other", "192.0.2.11"
	cfg.Devices = append(cfg.Devices, second)
	host := connectortest.NewHost(t)
	c := bacnet.New(cfg)
	start(t, c, host)
	readAll(t, host, 3)
	eventually(t, "both are announced", func() bool { return online(host, "AHU")() && online(host, "other")() })
	require.True(t, c.Health().OK)
	d.Silence(true)
	eventually(t, "it is offline", func() bool { return !online(host, "AHU")() })
	require.False(t, c.Health().OK)
	require.Contains(t, c.Health().Detail, "device,7")
	seen := len(host.Readings(false))
	eventually(t, "the other goes on", func() bool { return len(host.Readings(false)) > seen+10 })
	require.True(t, online(host, "other")())
	d.Set(ai(0), wire.PresentValue, wire.RealValue(50))
	d.Silence(false)
	eventually(t, "it is online again", online(host, "AHU"))
	eventually(t, "its value is read", is(host, "AHU", "AI 0", telemetry.Float32(50)))
	require.True(t, c.Health().OK)
}

func TestADeviceIsFollowedToItsNewAddress(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 3)
	cfg := all(&n, func(d *bacnet.Device) { d.Address, d.Instances = "", []bacnet.Range{{First: 7, Last: 7}} })
	cfg.Discover = 50 * time.Millisecond
	host := connectortest.NewHost(t)
	start(t, bacnet.New(cfg), host)
	readAll(t, host, 3)
	d.Set(ai(0), wire.PresentValue, wire.RealValue(50))
	require.NoError(t, n.Move(d, "192.0.2.99"))
	eventually(t, "it is read there", is(host, "AHU", "AI 0", telemetry.Float32(50)))
}

func TestDevicesBehindRoutersAreReadAndWritten(t *testing.T) {
	for _, address := range []string{"5:12", "5:*", "*:*", "*:*:*"} {
		t.Run(address, func(t *testing.T) {
			var n bacnettest.Network
			d := bacnettest.NewDevice(7, "AHU")
			d.Command(wire.NewObjectID(wire.AnalogOutput, 1), wire.RealValue(1))
			require.NoError(t, n.Add(d, "5:12", "192.0.2.254"))
			cfg := all(&n, func(d *bacnet.Device) {
				d.Address, d.Name = address, "${objectName} at ${address}"
				d.Items = []bacnet.Item{{Key: "out", Objects: bacnet.Object(wire.AnalogOutput, 1)}}
				d.RPC = []bacnet.Command{{Method: "out", Object: wire.NewObjectID(wire.AnalogOutput, 1), Property: wire.PresentValue, Write: true, Priority: 8}}
			})
			host := connectortest.NewHost(t)
			c := bacnet.New(cfg)
			start(t, c, host)
			eventually(t, "it is read", is(host, "AHU at 5:12", "out", telemetry.Float32(1)))
			_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "AHU at 5:12", Method: "out", Params: json.RawMessage("2.5")})
			require.NoError(t, err)
			eventually(t, "it was written", is(host, "AHU at 5:12", "out", telemetry.Float32(2.5)))
		})
	}
}

func TestConnectorsShareAPort(t *testing.T) {
	var n bacnettest.Network
	plant(t, &n, "192.0.2.10", 3)
	other := bacnettest.NewDevice(8, "other")
	other.Set(ai(0), wire.ObjectName, wire.TextValue("AI 0"))
	other.Set(ai(0), wire.PresentValue, wire.RealValue(1))
	require.NoError(t, n.Add(other, "192.0.2.11"))
	first := all(&n, nil)
	second := all(&n, func(d *bacnet.Device) { d.Name, d.Address = "other", "192.0.2.11" })
	second.Sockets = first.Sockets
	h1, h2 := connectortest.NewHost(t), connectortest.NewHost(t)
	stop := start(t, bacnet.New(first), h1)
	start(t, bacnet.New(second), h2)
	readAll(t, h1, 3)
	eventually(t, "the second reads its device", is(h2, "other", "AI 0", telemetry.Float32(1)))
	stop()
	other.Set(ai(0), wire.PresentValue, wire.RealValue(2))
	eventually(t, "the second goes on without the first", is(h2, "other", "AI 0", telemetry.Float32(2)))
	require.Empty(t, h2.Online()[1:])
}

func TestNewObjectsAreFound(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 2)
	cfg := all(&n, nil)
	cfg.Rescan = 20 * time.Millisecond
	host := connectortest.NewHost(t)
	start(t, bacnet.New(cfg), host)
	readAll(t, host, 2)
	d.Set(ai(2), wire.ObjectName, wire.TextValue("AI 2"))
	d.Set(ai(2), wire.PresentValue, wire.RealValue(2))
	readAll(t, host, 3)
}

func TestANameThatWasMissingIsReadLater(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 2)
	d.Set(ai(1), wire.ObjectName, wire.TextValue(""))
	cfg := all(&n, nil)
	cfg.Rescan = 20 * time.Millisecond
	host := connectortest.NewHost(t)
	start(t, bacnet.New(cfg), host)
	readAll(t, host, 1)
	d.Set(ai(1), wire.ObjectName, wire.TextValue("AI 1")) // there are as many objects as before
	readAll(t, host, 2)
}
