package compress

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2" //nolint:depguard // only who imports this package links it; the stores do not

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// S2 is a filestore.Codec that uses the S2 block format, an extension of Snappy:
// it costs little time and memory. The zero value is ready for use.
type S2 struct{}

var _ filestore.Codec = S2{}

// Name implements filestore.Codec.
func (S2) Name() string { return "s2" }

// Encode implements filestore.Codec.
func (S2) Encode(dst, src []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, max(0, s2.MaxEncodedLen(len(src))))
	block := s2.EncodeBetter(dst[n:cap(dst)], src)
	return dst[:n+len(block)]
}

var errSize = errors.New("compress: not of the size that it should have")

// Decode implements filestore.Codec.
func (S2) Decode(dst, src []byte, size int) ([]byte, error) {
	n := len(dst)
	if got, err := s2.DecodedLen(src); err != nil || got != size {
		return dst, errors.Join(errSize, err)
	}
	dst = slices.Grow(dst, size)
	block, err := s2.Decode(dst[n:n+size:n+size], src)
	if err != nil {
		return dst[:n], fmt.Errorf("compress: %w", err)
	}
	return dst[:n+len(block)], nil
}
