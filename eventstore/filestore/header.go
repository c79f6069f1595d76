package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

const (
	plainVersion  = 1 // records only
	packedVersion = 2 // containers too

	headerSize  = 20              // of a cursor, and of a segment without containers
	labelsSize  = 3*labelSize + 4 // what follows in a segment with containers
	packedStart = headerSize + labelsSize

	segmentMagic = "GLES"
	cursorMagic  = "GLEC"
)

var errBadHeader = errors.New("damaged header")

// header returns the header of a segment or cursor file, which hold an offset.
func header(magic string, version uint32, offset uint64) []byte {
	b := append(make([]byte, 0, packedStart), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, offset)
	return binary.LittleEndian.AppendUint32(b, headerChecksum(b))
}

// parseHeader returns the offset in a header.
func parseHeader(b []byte, magic string, newest uint32) (version uint32, offset uint64, err error) {
	if len(b) < headerSize || string(b[:4]) != magic ||
		binary.LittleEndian.Uint32(b[16:]) != headerChecksum(b[:16]) {
		return 0, 0, errBadHeader
	}
	version = binary.LittleEndian.Uint32(b[4:])
	if version > newest {
		return version, 0, fmt.Errorf("%w: format %d", errNewVersion, version)
	}
	if version == 0 {
		return 0, 0, errBadHeader
	}
	return version, binary.LittleEndian.Uint64(b[8:]), nil
}

func headerChecksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

func (f *format) headerSize() int64 {
	if f.packs() {
		return packedStart
	}
	return headerSize
}

// segmentHeader returns the header of a segment that begins with an offset.
func (f *format) segmentHeader(first uint64) []byte {
	if !f.packs() {
		return header(segmentMagic, plainVersion, first)
	}
	b := header(segmentMagic, packedVersion, first)
	labels := make([]byte, 3*labelSize)
	if f.key != nil {
		copy(labels, f.key.id)
		copy(labels[labelSize:], f.key.check[:])
	}
	if f.codec != nil {
		copy(labels[2*labelSize:], f.codec.Name())
	}
	b = append(b, labels...)
	return binary.LittleEndian.AppendUint32(b, headerChecksum(labels))
}

// A label says what it takes to read a segment.
type label struct {
	version uint32
	keyID   string
	check   [labelSize]byte
	codec   string
}

// readLabel returns what the header b of the segment that begins with first
// says.
func readLabel(b []byte, first uint64) (label, error) {
	version, offset, err := parseHeader(b, segmentMagic, packedVersion)
	l := label{version: version}
	if err == nil && offset != first {
		err = errBadHeader
	}
	if err != nil || version == plainVersion {
		return l, err
	}
	b = b[headerSize:]
	if len(b) < labelsSize || binary.LittleEndian.Uint32(b[3*labelSize:]) != headerChecksum(b[:3*labelSize]) {
		return l, errBadHeader
	}
	l.keyID = unpad(b[:labelSize])
	copy(l.check[:], b[labelSize:])
	l.codec = unpad(b[2*labelSize : 3*labelSize])
	return l, nil
}

func unpad(b []byte) string { return strings.TrimRight(string(b), "\x00") }

var (
	errNoKey    = errors.New("there is no key of that ID")
	errWrongKey = errors.New("the key of that ID is another one")
	errNoCodec  = errors.New("there is no codec of that name")
)

// readable returns an error if f lacks what l asks for.
func (f *format) readable(l label) error {
	if l.keyID != "" {
		i := slices.IndexFunc(f.keys, func(k *sealer) bool { return k.id == l.keyID })
		if i < 0 {
			return fmt.Errorf("encrypted with the key %q: %w", l.keyID, errNoKey)
		}
		if f.keys[i].check != l.check {
			return fmt.Errorf("encrypted with the key %q: %w", l.keyID, errWrongKey)
		}
	}
	if l.codec != "" && !slices.ContainsFunc(f.codecs, func(c Codec) bool { return c.Name() == l.codec }) {
		return fmt.Errorf("compressed with %q: %w", l.codec, errNoCodec)
	}
	return nil
}
