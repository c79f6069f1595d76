package compress_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func telemetry() []byte {
	var b []byte
	for i := range 300 {
		b = fmt.Appendf(b, "meter-%d voltage_l1=%d.%d current_l1=%d", i%7, 229+i%3, i%10, i*31%977)
	}
	return b
}

func TestS2AppendsAndIsUndone(t *testing.T) {
	var c compress.S2
	for _, src := range [][]byte{{}, []byte("x"), telemetry(), bytes.Repeat([]byte("ab"), 1<<16)} {
		for _, dst := range [][]byte{nil, []byte("before"), make([]byte, 3, 1<<17)} {
			packed := c.Encode(bytes.Clone(dst), src)
			require.Equal(t, string(dst), string(packed[:len(dst)]))
			out, err := c.Decode(bytes.Clone(dst), packed[len(dst):], len(src))
			require.NoError(t, err)
			require.Equal(t, string(dst)+string(src), string(out))
		}
	}
	require.Less(t, len(c.Encode(nil, telemetry())), len(telemetry())/3)
}

func TestS2RefusesAnotherSize(t *testing.T) {
	var c compress.S2
	src := telemetry()
	packed := c.Encode(nil, src)
	for _, size := range []int{0, len(src) - 1, len(src) + 1} {
		out, err := c.Decode([]byte("before"), packed, size)
		require.Error(t, err, "size %d", size)
		require.Equal(t, "before", string(out))
	}
}

func FuzzS2Decode(f *testing.F) {
	f.Add(compress.S2{}.Encode(nil, telemetry()), len(telemetry()))
	f.Add([]byte{0}, 0)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}, 1<<32-1)
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		if size > 1<<24 {
			return
		}
		out, err := compress.S2{}.Decode([]byte("a"), src, size)
		if err == nil && len(out) != 1+size || err != nil && len(out) != 1 {
			t.Fatalf("%d bytes, %v; want %d", len(out)-1, err, size)
		}
	})
}

func TestS2DoesNotAllocate(t *testing.T) {
	var c compress.S2
	src := telemetry()
	var packed, out []byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		packed = c.Encode(packed[:0], src)
		var err error
		if out, err = c.Decode(out[:0], packed, len(src)); err != nil {
			t.Fatal(err)
		}
	}))
}

// A store that compresses keeps the contract.
func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.OnMedium(filestore.Config{Codec: compress.S2{}, SegmentBytes: 16 << 10}))
}
