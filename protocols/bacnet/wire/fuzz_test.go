package wire_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		"810b000c0120ffff00ff1008", "810a001101040005010c0c000000051955", "81040012c0000207bac0012000050000ff1008",
		"810a001801080005010c30010c0c0000000519553e44429000003f", "810a000d010030010e3c0780040c02000001", "8100000600" + "30",
		"810a0022010010020912" + "1c020000071c0140000229" + "3c4e09552e91012f096f2e8204402f4f",
		"0c000000101e29554e4442900000" + "4f29675e910191205f1f", "c4020000072201e09103220104", "0c00c0000f1955" + "3e75190054686973" + "3f",
		"3e3e3f3f", "2e0f2f", "91", "820a", "09121c0000000a29013900",
	} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
}

// FuzzDatagram takes datagrams apart as the connector does.
func FuzzDatagram(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := wire.ParseFrame(b)
		if err != nil || frame.NPDU == nil {
			return
		}
		n, err := wire.ParseNPDU(frame.NPDU)
		if err != nil {
			return
		}
		again, err := wire.ParseNPDU(n.Append(nil))
		require.NoError(t, err)
		require.Equal(t, n.Source, again.Source)
		require.Equal(t, n.Destination, again.Destination)
		require.Equal(t, n.Payload, again.Payload)
		a, err := wire.ParseAPDU(n.Payload)
		if err != nil {
			return
		}
		back, err := wire.ParseAPDU(a.Append(nil))
		require.NoError(t, err)
		require.Equal(t, a, back)
	})
}

// FuzzServices takes the contents of all services apart.
func FuzzServices(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = wire.ParseWhoIs(b)
		_, _ = wire.ParseIAm(b)
		_, _ = wire.ParseError(b)
		if r, err := wire.ParseReadProperty(b); err == nil {
			again, err := wire.ParseReadProperty(wire.AppendReadProperty(nil, r))
			require.NoError(t, err)
			require.Equal(t, r, again)
		}
		if r, value, err := wire.ParseReadPropertyACK(b); err == nil {
			_ = r.String()
			walk(value, 0)
		}
		_ = wire.EachReadMultiple(b, func(wire.Reference) bool { return true })
		_ = wire.EachReadResult(b, func(r wire.ReadResult) bool {
			walk(r.Value, 0)
			return true
		})
		if w, err := wire.ParseWrite(b); err == nil {
			_, err := wire.ParseWrite(w.Append(nil))
			require.NoError(t, err)
		}
		if s, err := wire.ParseSubscription(b); err == nil && !s.Cancel {
			_, err := wire.ParseSubscription(s.Append(nil))
			require.NoError(t, err)
		}
		if n, err := wire.ParseNotification(b); err == nil {
			_ = n.Each(func(_ wire.Reference, value []byte) bool {
				walk(value, 0)
				return true
			})
		}
		walk(b, 0)
	})
}

// FuzzValue decodes a value, encodes it again, and compares.
func FuzzValue(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := wire.NewDecoder(b)
		v := d.Application()
		if d.Err() != nil {
			return
		}
		again := wire.NewDecoder(v.Append(nil))
		w := again.Application()
		require.NoError(t, again.Err())
		require.Equal(t, v.Kind, w.Kind)
		require.Equal(t, v.Bits, w.Bits)
		require.Equal(t, v.Data, w.Data)
		_, _ = v.Text()
		_ = v.AppendDate(nil)
		_ = v.AppendTime(nil)
		_ = v.ObjectID().String()
		for i := range v.BitCount() {
			v.Bit(i)
		}
	})
}

func walk(b []byte, depth int) {
	if depth > 4 {
		return
	}
	d := wire.NewDecoder(b)
	for d.More() {
		if e := d.Next(); e.Constructed {
			walk(e.Content, depth+1)
		}
	}
}
