// Package record is the binary form in which a batch is kept in an event store.
//
// A record is a version byte, the origin if that is 2, and groups until its
// end. Numbers are unsigned varints unless said otherwise, strings are a length
// and bytes:
//
//	origin     name of the connector, zigzag varint of the time in milliseconds
//	           at which it submitted the batch
//	group      device, profile, number of telemetry points, points,
//	           number of attributes, attributes
//	point      zigzag varint of the time in milliseconds less that of the
//	           point before (the first of a record: less zero), attribute
//	attribute  key, kind byte, value
//	value      bool and int: zigzag varint; float: 8 bytes, float32: 4 bytes,
//	           little-endian; string and JSON: string
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// The first byte of a record.
const (
	Version       = 1
	VersionOrigin = 2 // it tells where it comes from
)

// Append appends the record of groups to dst. Groups without points, and points
// without a valid value, are to be left out by the caller.
func Append(dst []byte, groups []telemetry.Group) []byte {
	return appendGroups(append(dst, Version), groups)
}

// AppendOrigin is Append for a record that tells which connector submitted the
// groups, and when, in Unix milliseconds.
func AppendOrigin(dst []byte, connector string, received int64, groups []telemetry.Group) []byte {
	dst = appendString(append(dst, VersionOrigin), connector)
	dst = binary.AppendVarint(dst, received)
	return appendGroups(dst, groups)
}

func appendGroups(dst []byte, groups []telemetry.Group) []byte {
	var ts int64
	for i := range groups {
		g := &groups[i]
		dst = appendString(dst, g.Device.Name)
		dst = appendString(dst, g.Device.Profile)
		dst = binary.AppendUvarint(dst, uint64(len(g.Telemetry)))
		for j := range g.Telemetry {
			p := &g.Telemetry[j]
			dst = binary.AppendVarint(dst, p.TS-ts)
			ts = p.TS
			dst = appendKeyValue(dst, p)
		}
		dst = binary.AppendUvarint(dst, uint64(len(g.Attributes)))
		for j := range g.Attributes {
			dst = appendKeyValue(dst, &g.Attributes[j])
		}
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendKeyValue(dst []byte, p *telemetry.Point) []byte {
	dst = appendString(dst, p.Key)
	kind, num, str := p.Value.Parts()
	dst = append(dst, byte(kind))
	switch kind {
	case telemetry.KindFloat:
		return binary.LittleEndian.AppendUint64(dst, num)
	case telemetry.KindFloat32:
		return binary.LittleEndian.AppendUint32(dst, uint32(num))
	case telemetry.KindString, telemetry.KindJSON:
		return appendString(dst, str)
	default:
		return binary.AppendVarint(dst, int64(num))
	}
}

// The bounds of a Decoder's table of strings.
const (
	maxInterned    = 8192 // strings
	maxInternedLen = 64   // bytes of one
)

// A Decoder decodes records. Names, keys and short texts that recur are
// decoded without an allocation. The zero Decoder is ready to use; it is not
// safe for concurrent use.
type Decoder struct {
	strings map[string]string
}

var errShort = errors.New("record: ends too early")

// Decode adds the groups of rec to b. It does not retain rec. On an error b is
// as it was.
func (d *Decoder) Decode(rec []byte, b *telemetry.Batch) error {
	if len(rec) == 0 {
		return errShort
	}
	before := len(b.Groups())
	r := reader{d: d, buf: rec[1:]}
	switch rec[0] {
	case Version:
	case VersionOrigin:
		r.connector, r.received = r.string(), r.varint()
	default:
		return fmt.Errorf("record: version %d is not known", rec[0])
	}
	for len(r.buf) > 0 && r.err == nil {
		r.group(b)
	}
	if r.err != nil {
		b.Truncate(before)
	}
	return r.err
}

// A reader takes a record apart. After the first error it yields zeros.
type reader struct {
	d   *Decoder
	buf []byte
	ts  int64
	err error

	connector string
	received  int64
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.buf = nil
}

func (r *reader) group(b *telemetry.Batch) {
	b.Device(r.string(), r.string())
	g := &b.Groups()[len(b.Groups())-1]
	g.Connector, g.Received = r.connector, r.received
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		r.ts += r.varint()
		p := r.keyValue()
		p.TS = r.ts
		b.AddTelemetry(p)
	}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		b.AddAttribute(r.keyValue())
	}
}

func (r *reader) keyValue() telemetry.Point {
	p := telemetry.Point{Key: r.string()}
	kind := telemetry.Kind(r.byte())
	var num uint64
	var str string
	switch kind {
	case telemetry.KindFloat:
		if raw := r.bytes(8); r.err == nil {
			num = binary.LittleEndian.Uint64(raw)
		}
	case telemetry.KindFloat32:
		if raw := r.bytes(4); r.err == nil {
			num = uint64(binary.LittleEndian.Uint32(raw))
		}
	case telemetry.KindString, telemetry.KindJSON:
		str = r.string()
	case telemetry.KindBool, telemetry.KindInt:
		num = uint64(r.varint())
	default:
		r.fail(fmt.Errorf("record: kind %d is not known", kind))
	}
	p.Value = telemetry.Restore(kind, num, str)
	return p
}

func (r *reader) byte() byte {
	if raw := r.bytes(1); r.err == nil {
		return raw[0]
	}
	return 0
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.buf) {
		r.fail(errShort)
		return nil
	}
	raw := r.buf[:n]
	r.buf = r.buf[n:]
	return raw
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > math.MaxInt32 {
		r.fail(errShort)
		return ""
	}
	return r.d.intern(r.bytes(int(n)))
}

// intern returns raw as a string, the same string for the same short text.
func (d *Decoder) intern(raw []byte) string {
	if len(raw) > maxInternedLen {
		return string(raw)
	}
	if s, ok := d.strings[string(raw)]; ok {
		return s
	}
	if d.strings == nil || len(d.strings) >= maxInterned {
		d.strings = make(map[string]string)
	}
	s := string(raw)
	d.strings[s] = s
	return s
}
