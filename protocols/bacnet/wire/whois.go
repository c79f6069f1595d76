package wire

import "math"

// AppendWhoIs appends the contents of a Who-Is request to devices whose instances
// are from low to high; to all if low is 0 and high AnyInstance.
func AppendWhoIs(dst []byte, low, high uint32) []byte {
	if low == 0 && high >= AnyInstance {
		return dst
	}
	dst = AppendContext(dst, 0, UnsignedValue(uint64(low)))
	return AppendContext(dst, 1, UnsignedValue(uint64(high)))
}

// ParseWhoIs reads the contents of a Who-Is request.
func ParseWhoIs(b []byte) (low, high uint32, err error) {
	if len(b) == 0 {
		return 0, AnyInstance, nil
	}
	d := NewDecoder(b)
	from, to := d.Context(0, Unsigned).Bits, d.Context(1, Unsigned).Bits
	if from > AnyInstance || to > AnyInstance {
		d.fail()
	}
	return uint32(from), uint32(to), d.Err()
}

// Segmentation says which segmented messages a device understands.
type Segmentation uint8

// The kinds of segmentation.
const (
	SegmentedBoth Segmentation = iota
	SegmentedTransmit
	SegmentedReceive
	NoSegmentation
)

// String returns the name of s.
func (s Segmentation) String() string { return segmentations.text(uint32(s)) }

// ParseSegmentation reads the name of a kind of segmentation: segmentedBoth and so on.
func ParseSegmentation(s string) (Segmentation, bool) {
	n, ok := segmentations.number(Kebab(s))
	return Segmentation(n), ok
}

// Transmits reports whether a device can send segmented messages.
func (s Segmentation) Transmits() bool { return s == SegmentedBoth || s == SegmentedTransmit }

// An IAm is what a device says of itself.
type IAm struct {
	Device       ObjectID
	MaxAPDU      uint32 // the longest message that it accepts, in bytes
	Segmentation Segmentation
	Vendor       uint16
}

// Append appends the contents of an I-Am request.
func (i IAm) Append(dst []byte) []byte {
	dst = ObjectIDValue(i.Device).Append(dst)
	dst = UnsignedValue(uint64(i.MaxAPDU)).Append(dst)
	dst = EnumeratedValue(uint32(i.Segmentation)).Append(dst)
	return UnsignedValue(uint64(i.Vendor)).Append(dst)
}

// ParseIAm reads the contents of an I-Am request.
func ParseIAm(b []byte) (IAm, error) {
	d := NewDecoder(b)
	i := IAm{Device: d.ApplicationOf(ObjectIDKind).ObjectID()}
	length, segmentation := d.ApplicationOf(Unsigned).Bits, d.ApplicationOf(Enumerated).Bits
	vendor := d.ApplicationOf(Unsigned).Bits
	if i.Device.Type() != DeviceObject || length > math.MaxUint32 || segmentation > uint64(NoSegmentation) || vendor > math.MaxUint16 {
		d.fail()
	}
	i.MaxAPDU, i.Segmentation, i.Vendor = uint32(length), Segmentation(segmentation), uint16(vendor)
	return i, d.Err()
}
