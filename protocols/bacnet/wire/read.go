package wire

import "math"

// AppendReadProperty appends the contents of a ReadProperty request.
func AppendReadProperty(dst []byte, r Reference) []byte {
	dst = AppendContext(dst, 0, ObjectIDValue(r.Object))
	return r.appendProperty(dst, 1)
}

// appendProperty appends the property with the context tag number, and the index, if
// there is one, with the next.
func (r Reference) appendProperty(dst []byte, number byte) []byte {
	dst = AppendContext(dst, number, EnumeratedValue(uint32(r.Property)))
	if r.Index != WholeArray {
		dst = AppendContext(dst, number+1, UnsignedValue(uint64(r.Index)))
	}
	return dst
}

func (d *Decoder) property(object ObjectID, number uint8) Reference {
	property := d.Context(number, Enumerated).Bits
	r := Reference{Object: object, Property: Property(property), Index: WholeArray}
	index, ok := d.Optional(number+1, Unsigned)
	if ok {
		r.Index = uint32(index.Bits)
	}
	if property > maxProperty || index.Bits > math.MaxUint32 {
		d.fail()
		return Reference{}
	}
	return r
}

// ParseReadProperty reads the contents of a ReadProperty request.
func ParseReadProperty(b []byte) (Reference, error) {
	d := NewDecoder(b)
	r := d.property(d.Context(0, ObjectIDKind).ObjectID(), 1)
	return r, d.Err()
}

// AppendReadPropertyACK appends the contents of the answer to a ReadProperty
// request. The value are tagged values.
func AppendReadPropertyACK(dst []byte, r Reference, value []byte) []byte {
	dst = AppendOpen(AppendReadProperty(dst, r), 3)
	return AppendClose(append(dst, value...), 3)
}

// ParseReadPropertyACK reads the contents of the answer to a ReadProperty request.
func ParseReadPropertyACK(b []byte) (r Reference, value []byte, err error) {
	d := NewDecoder(b)
	r = d.property(d.Context(0, ObjectIDKind).ObjectID(), 1)
	value = d.Constructed(3)
	return r, value, d.Err()
}

// AppendReadMultiple appends the contents of a ReadPropertyMultiple request.
// References to one object that follow each other share its specification.
func AppendReadMultiple(dst []byte, refs []Reference) []byte {
	for i, r := range refs {
		if i == 0 || r.Object != refs[i-1].Object {
			dst = AppendOpen(AppendContext(dst, 0, ObjectIDValue(r.Object)), 1)
		}
		dst = r.appendProperty(dst, 0)
		if i == len(refs)-1 || r.Object != refs[i+1].Object {
			dst = AppendClose(dst, 1)
		}
	}
	return dst
}

// EachReadMultiple calls yield for each reference in the contents of a
// ReadPropertyMultiple request, until it returns false.
func EachReadMultiple(b []byte, yield func(Reference) bool) error {
	d := NewDecoder(b)
	for d.More() {
		object := d.Context(0, ObjectIDKind).ObjectID()
		d.Open(1)
		for d.More() && !d.Closes(1) {
			if r := d.property(object, 0); !d.bad && !yield(r) {
				return nil
			}
		}
	}
	return d.Err()
}

// A ReadResult is what a device answers for one reference: tagged values, or an
// error.
type ReadResult struct {
	Reference
	Value []byte
	Err   *Error
}

// AppendReadMultipleACK appends the contents of the answer to a
// ReadPropertyMultiple request.
func AppendReadMultipleACK(dst []byte, results []ReadResult) []byte {
	for i, r := range results {
		if i == 0 || r.Object != results[i-1].Object {
			dst = AppendOpen(AppendContext(dst, 0, ObjectIDValue(r.Object)), 1)
		}
		dst = r.appendProperty(dst, 2)
		if r.Err != nil {
			dst = AppendClose(r.Err.Append(AppendOpen(dst, 5)), 5)
		} else {
			dst = AppendClose(append(AppendOpen(dst, 4), r.Value...), 4)
		}
		if i == len(results)-1 || r.Object != results[i+1].Object {
			dst = AppendClose(dst, 1)
		}
	}
	return dst
}

// EachReadResult calls yield for each result in the contents of the answer to a
// ReadPropertyMultiple request, until it returns false.
func EachReadResult(b []byte, yield func(ReadResult) bool) error {
	d := NewDecoder(b)
	for d.More() {
		object := d.Context(0, ObjectIDKind).ObjectID()
		d.Open(1)
		for d.More() && !d.Closes(1) {
			r := ReadResult{Reference: d.property(object, 2)}
			if d.Opens(5) {
				r.Err = &Error{Class: uint32(d.ApplicationOf(Enumerated).Bits), Code: uint32(d.ApplicationOf(Enumerated).Bits)}
				d.Close(5)
			} else {
				r.Value = d.Constructed(4)
			}
			if !d.bad && !yield(r) {
				return nil
			}
		}
	}
	return d.Err()
}
