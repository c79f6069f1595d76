package wire

// NoPriority is the priority of a write that names none; devices take it for 16.
const NoPriority = 0

// A Write is a WriteProperty request.
type Write struct {
	Reference
	Value    []byte // tagged values
	Priority uint8  // 1 (highest) to 16, or NoPriority
}

// Append appends the contents of the request.
func (w Write) Append(dst []byte) []byte {
	dst = AppendReadProperty(dst, w.Reference)
	dst = AppendClose(append(AppendOpen(dst, 3), w.Value...), 3)
	if w.Priority != NoPriority {
		dst = AppendContext(dst, 4, UnsignedValue(uint64(w.Priority)))
	}
	return dst
}

// ParseWrite reads the contents of a WriteProperty request.
func ParseWrite(b []byte) (Write, error) {
	d := NewDecoder(b)
	w := Write{Reference: d.property(d.Context(0, ObjectIDKind).ObjectID(), 1), Value: d.Constructed(3)}
	if p, ok := d.Optional(4, Unsigned); ok {
		if p.Bits < 1 || p.Bits > 16 {
			d.fail()
		}
		w.Priority = uint8(p.Bits)
	}
	return w, d.Err()
}
