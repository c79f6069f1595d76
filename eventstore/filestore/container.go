package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	containerHead  = 9 // flags, number of records, their size
	flagCompressed = 1 << 0
	flagEncrypted  = 1 << 1

	// sealOverhead is by how much encryption can make a record larger.
	sealOverhead = recordHead + containerHead + nonceSize + tagSize
)

// A format is how runs of records are put into files.
type format struct {
	codec Codec   // that compresses, or nil
	key   *sealer // that encrypts, or nil

	codecs []Codec // that decompress
	keys   []*sealer
	limit  int64 // size of the largest run
}

func newFormat(c Config) (*format, error) {
	f := &format{codec: c.Codec, codecs: c.OldCodecs, limit: min(c.MaxBytes, math.MaxInt32)}
	if c.Codec != nil {
		f.codecs = append([]Codec{c.Codec}, c.OldCodecs...)
	}
	for _, codec := range f.codecs {
		if n := len(codec.Name()); n == 0 || n > labelSize {
			return nil, fmt.Errorf("codec: the name %q does not have 1 to %d bytes", codec.Name(), labelSize)
		}
	}
	keys := c.OldKeys
	if !c.Key.isZero() {
		keys = append([]Key{c.Key}, c.OldKeys...)
	}
	for _, k := range keys {
		s, err := newSealer(k)
		if err != nil {
			return nil, err
		}
		f.keys = append(f.keys, s)
	}
	if !c.Key.isZero() {
		f.key = f.keys[0]
	}
	return f, nil
}

// packs reports whether records are written in containers.
func (f *format) packs() bool { return f.codec != nil || f.key != nil }

// reserve returns the size that a record of so many bytes of data can have in a
// file.
func (f *format) reserve(data int) int64 {
	need := recordHead + int64(data)
	if f.key != nil {
		need += sealOverhead
	}
	return need
}

// pack appends to dst what a file holds for a run of n records from the offset
// first on. It is never larger than what reserve says for each.
func (f *format) pack(dst []byte, first uint64, n uint64, run []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, recordHead+1)...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(run)))
	if f.key != nil {
		dst = append(dst, make([]byte, nonceSize)...)
	}
	body, flags := len(dst), byte(0)
	if f.codec != nil {
		dst = f.codec.Encode(dst, run)
		flags = flagCompressed
	}
	if saved := len(run) - (len(dst) - body); flags == 0 || saved <= recordHead+containerHead {
		if f.key == nil {
			return append(dst[:start], run...), nil
		}
		dst, flags = append(dst[:body], run...), 0
	}
	if f.key != nil {
		flags |= flagEncrypted
	}
	head := dst[start+recordHead:][:containerHead]
	head[0] = flags
	if f.key != nil {
		var err error
		if dst, err = f.key.seal(dst, body, sealContext(first, head)); err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
	}
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-recordHead)|containerBit)
	binary.LittleEndian.PutUint32(dst[start+8:], uint32(first))
	binary.LittleEndian.PutUint32(dst[start:], checksum(first, dst[start+4:]))
	return dst, nil
}

// sealContext returns what is authenticated beside the records, so that a
// container cannot take the place of another.
func sealContext(first uint64, head []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(make([]byte, 0, 8+containerHead), first), head...)
}

var errContainer = errors.New("container cannot be read")

// containerSize returns the number and the size of the records in the container
// c, or zeros if it has none.
func containerSize(c []byte) (n uint64, size int64) {
	if len(c) < recordHead+containerHead {
		return 0, 0
	}
	return uint64(binary.LittleEndian.Uint32(c[recordHead+1:])), int64(binary.LittleEndian.Uint32(c[recordHead+5:]))
}

// unpack appends to dst the records in the intact container c, which is the one
// of the offset first.
func (f *format) unpack(dst, c []byte, first uint64) ([]byte, error) {
	n, size := containerSize(c)
	if n == 0 || size > f.limit || n > uint64(size)/recordHead {
		return dst, errContainer
	}
	head, body := c[recordHead:][:containerHead], c[recordHead+containerHead:]
	flags := head[0]
	if flags&^(flagCompressed|flagEncrypted) != 0 {
		return dst, errContainer
	}
	if flags&flagEncrypted != 0 {
		var err error
		if body, err = f.decrypt(body, sealContext(first, head)); err != nil {
			return dst, err
		}
	}
	if flags&flagCompressed == 0 {
		return expectRun(dst, append(dst, body...), first, n, size)
	}
	for _, codec := range f.codecs {
		out, err := codec.Decode(dst, body, int(size))
		if err != nil {
			continue
		}
		if out, err := expectRun(dst, out, first, n, size); err == nil {
			return out, nil
		}
	}
	return dst, fmt.Errorf("%w: no codec decompresses it", errContainer)
}

func (f *format) decrypt(body, context []byte) ([]byte, error) {
	for _, k := range f.keys {
		if out, err := k.open(nil, body, context); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%w: no key decrypts it", errContainer)
}

// expectRun returns out if what it has more than dst is a run of n records of
// that size.
func expectRun(dst, out []byte, first, n uint64, size int64) ([]byte, error) {
	run := out[len(dst):]
	if int64(len(run)) != size {
		return dst, errContainer
	}
	if valid, next := validPrefix(run, first, first+n); int64(valid) != size || next != first+n {
		return dst, errContainer
	}
	return out, nil
}
