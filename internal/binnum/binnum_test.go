package binnum_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/binnum"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		kind   string
		in     string
		little bool
		want   telemetry.Value
	}{
		{"uint", "\x01\x02", false, telemetry.Int(258)},
		{"uint", "\x01\x02", true, telemetry.Int(513)},
		{"uint", "\xff", false, telemetry.Int(255)},
		{"uint", "\xff\xff\xff\xff\xff\xff\xff\xff", false, telemetry.String("18446744073709551615")},
		{"int", "\xff", false, telemetry.Int(-1)},
		{"int", "\xff\xfe", true, telemetry.Int(-257)},
		{"int", "\x80\x00\x00\x00\x00\x00\x00\x00", false, telemetry.Int(-1 << 63)},
		{"float", "\x3f\xc0\x00\x00", false, telemetry.Float32(1.5)},
		{"float", "\x00\x00\x00\x00\x00\x00\xf8\x3f", true, telemetry.Float(1.5)},
	} {
		decode, err := binnum.Lookup(c.kind)
		require.NoError(t, err)
		got, ok := decode([]byte(c.in), c.little)
		assert.True(t, ok)
		assert.Equal(t, c.want, got, "%s of %x", c.kind, c.in)
	}
	for _, c := range []struct {
		kind string
		size int
	}{{"int", 0}, {"int", 9}, {"uint", 0}, {"uint", 9}, {"float", 3}, {"float", 0}} {
		decode, err := binnum.Lookup(c.kind)
		require.NoError(t, err)
		_, ok := decode(make([]byte, c.size), false)
		assert.False(t, ok, "%s of %d bytes", c.kind, c.size)
	}
	none, err := binnum.Lookup("")
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = binnum.Lookup("double")
	require.ErrorContains(t, err, `"double" is not one of`)
}
