package wire_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A capture is a pcap file of datagrams to port 47808.
type capture struct{ b []byte }

func newCapture() *capture {
	c := &capture{}
	for _, n := range []uint32{0xa1b2c3d4, 0x00040002, 0, 0, 65535, 101} { // raw IP
		c.b = binary.LittleEndian.AppendUint32(c.b, n)
	}
	return c
}

func (c *capture) add(payload []byte) {
	total := uint32(28 + len(payload))
	for _, n := range []uint32{0, 0, total, total} {
		c.b = binary.LittleEndian.AppendUint32(c.b, n)
	}
	ip := []byte{0x45, 0, byte(total >> 8), byte(total), 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2}
	udp := []byte{0xba, 0xc0, 0xba, 0xc0, byte((total - 20) >> 8), byte(total - 20), 0, 0}
	c.b = append(append(append(c.b, ip...), udp...), payload...)
}

// dissect returns what tshark makes of the capture: for each datagram a line with
// the type and the service, and what is wrong with it.
func (c *capture) dissect(t *testing.T) []string {
	t.Helper()
	tshark := peer.Need(t, "tshark")
	file := filepath.Join(t.TempDir(), "bacnet.pcap")
	require.NoError(t, os.WriteFile(file, c.b, 0o600))
	out, err := exec.CommandContext(t.Context(), tshark, "-r", file, "-T", "fields", "-E", "separator=|",
		"-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "_ws.malformed", "-e", "_ws.expert.message").Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestPeerTsharkUnderstandsEveryDatagram(t *testing.T) {
	mac, _ := wire.NewMAC([]byte{12})
	ref := func(ot wire.ObjectType, n uint32, p wire.Property, index uint32) wire.Reference {
		return wire.Reference{Object: wire.NewObjectID(ot, n), Property: p, Index: index}
	}
	all := wire.WholeArray
	var values []byte
	now := time.Date(2026, 11, 22, 13, 5, 10, 250e6, time.UTC)
	latin1, _ := wire.TextIn(wire.CharsetLatin1, "Größe")
	ucs2, _ := wire.TextIn(wire.CharsetUCS2, "Größe €")
	primitives := []wire.Value{
		wire.NullValue(), wire.BooleanValue(true), wire.UnsignedValue(70000), wire.SignedValue(-70000), wire.RealValue(21.5), wire.DoubleValue(-1e100),
		wire.OctetsValue(make([]byte, 300)), wire.TextValue("Größe ≤ 5"), latin1, ucs2, wire.BitsValue(true, false, true), wire.EnumeratedValue(62),
		wire.NewDate(now), wire.NewTimeOfDay(now), wire.ObjectIDValue(wire.NewObjectID(wire.AnalogInput, 7)),
	}
	for _, v := range primitives {
		values = v.Append(values)
	}
	c := newCapture()
	var want []string
	add := func(info string, n wire.NPDU, a wire.APDU) {
		n.Payload = a.Append(nil)
		c.add(wire.Finish(n.Append(wire.Begin(nil, wire.OriginalUnicast))))
		want = append(want, info)
	}
	request := func(service uint8, contents []byte) wire.APDU {
		return wire.APDU{Type: wire.ConfirmedRequest, Accepts: true, MaxSegments: wire.ManySegments, MaxAPDU: 5, InvokeID: 7, Service: service, Payload: contents}
	}
	routed := wire.NPDU{Destination: wire.Station{Net: 5, MAC: mac}, Reply: true}
	answered := wire.NPDU{Source: wire.Station{Net: 5, MAC: mac}}

	add("who-Is", wire.NPDU{Destination: wire.Station{Net: wire.AllNetworks}}, wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceWhoIs})
	add("who-Is", wire.NPDU{}, wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceWhoIs, Payload: wire.AppendWhoIs(nil, 100, 70000)})
	i := wire.IAm{Device: wire.NewObjectID(wire.DeviceObject, 599), MaxAPDU: 1476, Segmentation: wire.SegmentedReceive, Vendor: 15}
	add("i-Am", answered, wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceIAm, Payload: i.Append(nil)})
	add("readProperty[", routed, request(wire.ServiceReadProperty, wire.AppendReadProperty(nil, ref(wire.AnalogOutput, 1, wire.PriorityArray, 8))))
	add("readPropertyMultiple[", routed, request(wire.ServiceReadPropertyMultiple, wire.AppendReadMultiple(nil, []wire.Reference{
		ref(wire.AnalogInput, 1, wire.PresentValue, all), ref(wire.AnalogInput, 1, wire.Units, all), ref(wire.DeviceObject, 599, wire.ObjectList, 70000),
	})))
	for _, v := range primitives {
		w := wire.Write{Reference: ref(wire.AnalogValue, 1, wire.PresentValue, all), Value: v.Append(nil), Priority: 8}
		add("writeProperty[", wire.NPDU{Reply: true}, request(wire.ServiceWriteProperty, w.Append(nil)))
	}
	object := wire.NewObjectID(wire.AnalogInput, 1)
	for _, s := range []wire.Subscription{
		{Process: 599, Object: object, Confirmed: true, Lifetime: 5 * time.Minute}, {Process: 599, Object: object, Lifetime: time.Hour}, {Process: 599, Object: object, Cancel: true},
	} {
		add("subscribeCOV[", wire.NPDU{Reply: true}, request(wire.ServiceSubscribeCOV, s.Append(nil)))
	}
	add("Simple-ACK", answered, wire.APDU{Type: wire.SimpleACK, InvokeID: 7, Service: wire.ServiceConfirmedCOVNotification})
	add("Segment-ACK", wire.NPDU{}, wire.APDU{Type: wire.SegmentACK, Negative: true, InvokeID: 7, Sequence: 3, Window: 16})
	add("Reject", wire.NPDU{}, wire.APDU{Type: wire.RejectPDU, InvokeID: 7, Reason: 9})
	add("Abort", wire.NPDU{}, wire.APDU{Type: wire.AbortPDU, InvokeID: 7, Reason: 4})
	add("Error", wire.NPDU{}, wire.APDU{Type: wire.ErrorPDU, InvokeID: 7, Service: wire.ServiceConfirmedCOVNotification, Payload: (&wire.Error{Class: 5, Code: 79}).Append(nil)})
	add("readProperty[", answered, wire.APDU{
		Type: wire.ComplexACK, InvokeID: 7, Service: wire.ServiceReadProperty,
		Payload: wire.AppendReadPropertyACK(nil, ref(wire.AnalogInput, 1, 600, all), values),
	})
	add("readPropertyMultiple[", answered, wire.APDU{
		Type: wire.ComplexACK, InvokeID: 7, Service: wire.ServiceReadPropertyMultiple,
		Payload: wire.AppendReadMultipleACK(nil, []wire.ReadResult{
			{Reference: ref(wire.DeviceObject, 599, wire.ObjectName, all), Value: wire.TextValue("gateway").Append(nil)},
			{Reference: ref(wire.DeviceObject, 599, 9999, all), Err: &wire.Error{Class: 2, Code: 32}},
		}),
	})
	n := wire.Notification{Process: 599, Device: wire.NewObjectID(wire.DeviceObject, 7), Object: object, Remaining: time.Minute}
	notified := n.Append(nil, wire.AppendPropertyValue(nil, wire.PresentValue, wire.RealValue(1).Append(nil)))
	add("unconfirmedCOVNotification", answered, wire.APDU{Type: wire.UnconfirmedRequest, Service: wire.ServiceUnconfirmedCOVNotification, Payload: notified})
	add("confirmedCOVNotification[", answered, request(wire.ServiceConfirmedCOVNotification, notified))
	c.add(wire.AppendRegistration(nil, time.Hour))
	c.add(wire.AppendResult(nil, 0x30))
	c.add(wire.Finish((&wire.NPDU{Payload: []byte{0x10, 0x08}}).Append(wire.AppendForwarded(nil, netip.MustParseAddrPort("192.0.2.7:47808")))))
	c.add(wire.Finish((&wire.NPDU{Payload: []byte{0x10, 0x08}}).Append(wire.Begin(nil, wire.DistributeBroadcast))))
	want = append(want, "BVLC", "BVLC", "who-Is", "who-Is")

	lines := c.dissect(t)
	require.Len(t, lines, len(want))
	for i, line := range lines {
		require.NotContains(t, line, "alformed", "datagram %d", i)
		require.Contains(t, strings.ToLower(line), strings.ToLower(strings.TrimSuffix(want[i], "[")), "datagram %d", i)
		fields := strings.Split(line, "|")
		require.Empty(t, strings.Join(fields[2:], ""), "datagram %d: %s", i, line)
	}
}

// The names are those that tshark has, but for what it spells in its own way.
func TestPeerTsharkHasTheSameNames(t *testing.T) {
	tshark := peer.Need(t, "tshark")
	out, err := exec.CommandContext(t.Context(), tshark, "-G", "values").Output()
	require.NoError(t, err)
	counts := map[string]int{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 || f[0] != "V" {
			continue
		}
		n, err := strconv.ParseUint(f[2], 0, 32)
		if err != nil {
			continue
		}
		var got string
		switch f[1] {
		case "bacapp.objectType":
			got = wire.ObjectType(n).String()
		case "bacapp.property_identifier":
			got = wire.Property(n).String()
		case "bacapp.error_code":
			got = strings.TrimPrefix((&wire.Error{Class: 0, Code: uint32(n)}).Error(), "device: ")
		case "bacapp.reject_reason":
			got = strings.TrimPrefix(wire.Reject(n).Error(), "rejected: ")
		case "bacapp.abort_reason":
			got = strings.TrimPrefix(wire.Abort(n).Error(), "aborted: ")
		default:
			continue
		}
		counts[f[1]]++
		squash := strings.NewReplacer("-", "", " ", "", "_", "")
		if squash.Replace(strings.ToLower(f[3])) != squash.Replace(got) {
			counts[f[1]+" differs"]++
			t.Logf("%s %d: %s, tshark has %s", f[1], n, got, f[3])
		}
	}
	require.GreaterOrEqual(t, counts["bacapp.objectType"], 60)
	require.GreaterOrEqual(t, counts["bacapp.property_identifier"], 500)
	require.GreaterOrEqual(t, counts["bacapp.error_code"], 190)
	require.Zero(t, counts["bacapp.objectType differs"])
	require.LessOrEqual(t, counts["bacapp.property_identifier differs"], 25, "tshark's own spellings: singular, bacnet-ip-…")
	require.LessOrEqual(t, counts["bacapp.error_code differs"], 1)
	require.Zero(t, counts["bacapp.reject_reason differs"]+counts["bacapp.abort_reason differs"])
}
