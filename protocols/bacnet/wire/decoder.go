package wire

// maxDepth bounds how deep constructed values are nested.
const maxDepth = 32

// A Decoder takes tagged values apart, one after the other. After the first mistake
// all of its methods return zero values, and Err tells.
type Decoder struct {
	buf []byte
	bad bool
}

// NewDecoder returns a Decoder of b.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// Err returns an error if something was not what it should have been.
func (d *Decoder) Err() error {
	if d.bad {
		return ErrMalformed
	}
	return nil
}

// More reports whether there is something left.
func (d *Decoder) More() bool { return !d.bad && len(d.buf) > 0 }

// Rest returns what is left.
func (d *Decoder) Rest() []byte { return d.buf }

func (d *Decoder) fail() { d.bad, d.buf = true, nil }

// take takes the next tag and its content.
func (d *Decoder) take() (t tag, content []byte) {
	t, n := parseTag(d.buf)
	if n == 0 || int64(t.length) > int64(len(d.buf)-n) {
		d.fail()
		return tag{}, nil
	}
	content = d.buf[n : n+int(t.length)]
	d.buf = d.buf[n+int(t.length):]
	return t, content
}

func (d *Decoder) peek() (t tag, ok bool) {
	t, n := parseTag(d.buf)
	return t, n > 0
}

// Application takes a value with an application tag.
func (d *Decoder) Application() Value {
	t, content := d.take()
	if d.bad {
		return Value{}
	}
	if t.context {
		d.fail()
		return Value{}
	}
	if t.number == uint8(Boolean) {
		return BooleanValue(t.boolean)
	}
	v, ok := parseValue(Kind(t.number), content)
	if !ok {
		d.fail()
		return Value{}
	}
	return v
}

// ApplicationOf takes a value with the application tag of a kind.
func (d *Decoder) ApplicationOf(k Kind) Value {
	v := d.Application()
	if v.Kind != k {
		d.fail()
		return Value{}
	}
	return v
}

// Context takes a value that has a context tag and is of the kind that goes with it.
func (d *Decoder) Context(number uint8, k Kind) Value {
	t, content := d.take()
	if d.bad {
		return Value{}
	}
	if !t.context || t.open || t.close || t.number != number {
		d.fail()
		return Value{}
	}
	if k == Boolean {
		if len(content) != 1 {
			d.fail()
			return Value{}
		}
		return BooleanValue(content[0] != 0)
	}
	v, ok := parseValue(k, content)
	if !ok {
		d.fail()
		return Value{}
	}
	return v
}

// Optional is Context if the next tag is that one.
func (d *Decoder) Optional(number uint8, k Kind) (v Value, ok bool) {
	if t, found := d.peek(); !found || !t.context || t.open || t.close || t.number != number {
		return Value{}, false
	}
	v = d.Context(number, k)
	return v, !d.bad
}

// Opens reports whether the next tag opens the constructed value of the number, and
// then takes the tag.
func (d *Decoder) Opens(number uint8) bool {
	if t, ok := d.peek(); !ok || !t.open || t.number != number {
		return false
	}
	d.take()
	return true
}

// Closes reports whether the next tag closes the constructed value of the number,
// and then takes the tag.
func (d *Decoder) Closes(number uint8) bool {
	if t, ok := d.peek(); !ok || !t.close || t.number != number {
		return false
	}
	d.take()
	return true
}

// Open takes the tag that opens a constructed value.
func (d *Decoder) Open(number uint8) {
	if !d.bad && !d.Opens(number) {
		d.fail()
	}
}

// Close takes the tag that closes a constructed value.
func (d *Decoder) Close(number uint8) {
	if !d.bad && !d.Closes(number) {
		d.fail()
	}
}

// Constructed takes what stands between the tags of a constructed value.
func (d *Decoder) Constructed(number uint8) []byte {
	d.Open(number)
	start := d.buf
	for depth := 0; !d.bad; {
		rest := d.buf
		t, _ := d.take()
		switch {
		case t.open:
			depth++
			if depth > maxDepth {
				d.fail()
			}
		case t.close && depth > 0:
			depth--
		case t.close:
			if t.number != number {
				d.fail()
			}
			return start[:len(start)-len(rest)]
		}
	}
	return nil
}

// An Element is what Next takes.
type Element struct {
	Number  uint8 // of a context tag
	Context bool
	Value   Value  // of an application tag
	Content []byte // of a context tag: what it tags, or what stands between its tags

	// Constructed says that Content are tagged values.
	Constructed bool
}

// Next takes whatever comes next: a primitive or a constructed value.
func (d *Decoder) Next() Element {
	t, ok := d.peek()
	switch {
	case !ok || t.close:
		d.fail()
		return Element{}
	case t.open:
		return Element{Number: t.number, Context: true, Constructed: true, Content: d.Constructed(t.number)}
	case t.context:
		_, content := d.take()
		return Element{Number: t.number, Context: true, Content: content}
	default:
		return Element{Value: d.Application()}
	}
}
