package bacnet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func withCOV(c bacnet.COV, poll time.Duration) func(*bacnet.Device) {
	return func(d *bacnet.Device) {
		c.Enabled = true
		d.COV, d.Poll = c, poll
		d.Items[0].Key = "AI ${objectId}"
	}
}

func TestChangesArriveWithoutPolling(t *testing.T) {
	for _, unconfirmed := range []bool{false, true} {
		t.Run(fmt.Sprintf("unconfirmed: %v", unconfirmed), func(t *testing.T) {
			var n bacnettest.Network
			d := plant(t, &n, "192.0.2.10", 30)
			host := connectortest.NewHost(t)
			start(t, bacnet.New(all(&n, withCOV(bacnet.COV{Unconfirmed: unconfirmed}, 20*time.Millisecond))), host)
			readAll(t, host, 30)
			eventually(t, "all is subscribed to", func() bool { return d.Subscriptions() == 30 })
			d.Set(ai(3), wire.PresentValue, wire.RealValue(99))
			eventually(t, "the change arrives", is(host, "AHU", "AI 3", telemetry.Float32(99)))
			eventually(t, "what is to be confirmed is", func() bool { return d.Unconfirmed() == 0 })
			d.Requests()
			eventually(t, "the device is looked after", func() bool {
				for _, r := range d.Requests() {
					for _, ref := range r.References {
						require.NotEqual(t, wire.PresentValue, ref.Property, "a value that is subscribed to is polled")
						if ref.Property == wire.SystemStatus {
							return true
						}
					}
				}
				return false
			})
		})
	}
}

func TestWhatCannotBeSubscribedToIsPolled(t *testing.T) {
	for name, refuse := range map[string]func(d *bacnettest.Device){
		"no subscriptions at all": func(d *bacnettest.Device) { d.NoCOV = true },
		"one object": func(d *bacnettest.Device) {
			d.Fail(wire.Reference{Object: ai(1), Property: wire.CovIncrement, Index: wire.WholeArray}, wire.Error{Class: wire.ClassObject, Code: 45})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n bacnettest.Network
			d := plant(t, &n, "192.0.2.10", 3)
			refuse(d)
			host := newLogged(t)
			stop := start(t, bacnet.New(all(&n, withCOV(bacnet.COV{}, 20*time.Millisecond))), host)
			readAll(t, host.Host, 3)
			d.Set(ai(1), wire.PresentValue, wire.RealValue(99))
			eventually(t, "the change is polled", is(host.Host, "AHU", "AI 1", telemetry.Float32(99)))
			d.Set(ai(2), wire.PresentValue, wire.RealValue(98))
			eventually(t, "the others arrive", is(host.Host, "AHU", "AI 2", telemetry.Float32(98)))
			stop()
			require.Equal(t, 1, strings.Count(host.book.String(), "it is polled"), "it is reported once")
		})
	}
}

func TestSubscriptionsAreRenewedAndMadeAgain(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 3)
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, withCOV(bacnet.COV{Lifetime: time.Second}, time.Hour))), host)
	eventually(t, "all is subscribed to", func() bool { return d.Subscriptions() == 3 })
	d.Forget()
	eventually(t, "the renewal makes up for a restart of the device", func() bool { return d.Subscriptions() == 3 })
	renewals := 0
	eventually(t, "they are renewed", func() bool {
		for _, r := range d.Requests() {
			if r.Service == wire.ServiceSubscribeCOV {
				renewals++
			}
		}
		return renewals >= 9
	})
	d.Set(ai(0), wire.PresentValue, wire.RealValue(77))
	eventually(t, "changes still arrive", is(host, "AHU", "AI 0", telemetry.Float32(77)))
}

func TestValuesThatAreSubscribedToAreReadOnceInAWhile(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 1)
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, withCOV(bacnet.COV{Resync: 50 * time.Millisecond}, 20*time.Millisecond))), host)
	eventually(t, "all is subscribed to", func() bool { return d.Subscriptions() == 1 })
	eventually(t, "the first notification arrived", func() bool { return d.Unconfirmed() == 0 })
	reads := 0
	eventually(t, "it is read again and again", func() bool {
		for _, r := range d.Requests() {
			for _, ref := range r.References {
				if ref.Property == wire.PresentValue {
					reads++
				}
			}
		}
		return reads >= 8
	})
}

func TestADeviceThatWasAwayIsSubscribedToAgain(t *testing.T) {
	var n bacnettest.Network
	d := plant(t, &n, "192.0.2.10", 3)
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, withCOV(bacnet.COV{Lifetime: 10 * time.Minute}, 20*time.Millisecond))), host)
	eventually(t, "all is subscribed to", func() bool { return d.Subscriptions() == 3 })
	eventually(t, "it is online", online(host, "AHU"))
	d.Silence(true)
	d.Forget()
	eventually(t, "it is offline", func() bool { return !online(host, "AHU")() })
	d.Silence(false)
	eventually(t, "all is subscribed to again", func() bool { return d.Subscriptions() == 3 })
}

func TestAnotherSubscribersNotificationIsRefused(t *testing.T) {
	var n bacnettest.Network
	plant(t, &n, "192.0.2.10", 3)
	host := connectortest.NewHost(t)
	start(t, bacnet.New(all(&n, withCOV(bacnet.COV{}, 20*time.Millisecond))), host)
	readAll(t, host, 3)
	before := len(host.Readings(false))
	values := wire.AppendPropertyValue(nil, wire.PresentValue, wire.RealValue(55).Append(nil))
	for _, note := range []wire.Notification{
		{Process: 598, Device: wire.NewObjectID(wire.DeviceObject, 7), Object: ai(1)},
		{Process: 599, Device: wire.NewObjectID(wire.DeviceObject, 8), Object: ai(1)},
		{Process: 599, Device: wire.NewObjectID(wire.DeviceObject, 7), Object: ai(100)},
	} {
		answer := n.Say("192.0.2.10", wire.APDU{
			Type: wire.ConfirmedRequest, InvokeID: 3, Service: wire.ServiceConfirmedCOVNotification, Payload: note.Append(nil, values),
		})
		require.Equal(t, wire.ErrorPDU, answer.Type)
		e, err := wire.ParseError(answer.Payload)
		require.NoError(t, err)
		require.Equal(t, wire.CodeUnknownSubscription, e.Code)
	}
	for _, r := range host.Readings(false)[before:] {
		require.NotEqual(t, telemetry.Float32(55), r.Value)
	}
}

func TestTheGatewayIsADeviceItself(t *testing.T) {
	var n bacnettest.Network
	plant(t, &n, "192.0.2.10", 1)
	cfg := all(&n, nil)
	cfg.Local.Name = "our gateway"
	start(t, bacnet.New(cfg), connectortest.NewHost(t))
	eventually(t, "the port is open", func() bool { return n.Links() == 1 })
	id := wire.NewObjectID(wire.DeviceObject, 599)

	hello := n.Say("192.0.2.20", wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceWhoIs, Payload: wire.AppendWhoIs(nil, 500, 600)})
	i, err := wire.ParseIAm(hello.Payload)
	require.NoError(t, err)
	require.Equal(t, wire.IAm{Device: id, MaxAPDU: 1476, Segmentation: wire.SegmentedReceive, Vendor: 15}, i)

	read := func(p wire.Property) wire.APDU {
		return n.Say("192.0.2.20", wire.APDU{
			Type: wire.ConfirmedRequest, InvokeID: 3, MaxAPDU: 5, Service: wire.ServiceReadProperty,
			Payload: wire.AppendReadProperty(nil, wire.Reference{Object: id, Property: p, Index: wire.WholeArray}),
		})
	}
	_, value, err := wire.ParseReadPropertyACK(read(wire.ObjectName).Payload)
	require.NoError(t, err)
	require.Equal(t, wire.TextValue("our gateway").Append(nil), value)
	require.Equal(t, wire.ErrorPDU, read(wire.PresentValue).Type)

	many := n.Say("192.0.2.20", wire.APDU{
		Type: wire.ConfirmedRequest, InvokeID: 4, MaxAPDU: 5, Service: wire.ServiceReadPropertyMultiple,
		Payload: wire.AppendReadMultiple(nil, []wire.Reference{
			{Object: id, Property: wire.ObjectList, Index: wire.WholeArray}, {Object: id, Property: wire.ProtocolVersion, Index: wire.WholeArray},
		}),
	})
	count := 0
	require.NoError(t, wire.EachReadResult(many.Payload, func(r wire.ReadResult) bool {
		require.Nil(t, r.Err)
		count++
		return true
	}))
	require.Equal(t, 2, count)
	unknown := n.Say("192.0.2.20", wire.APDU{Type: wire.ConfirmedRequest, InvokeID: 5, Service: 17})
	require.Equal(t, wire.RejectPDU, unknown.Type)
}
