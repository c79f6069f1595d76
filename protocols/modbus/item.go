package modbus

import (
	"bytes"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// An item is a register that is polled. It belongs to the goroutine of its bus.
type item struct {
	field
	key       string
	attribute bool
	interval  time.Duration
	report    *telemetry.ReportPolicy
	times     []*item

	last  float64 // latest reading, if known
	known bool

	raw   []byte // what value was decoded from, if worth keeping
	value telemetry.Value

	refused  bool // the device does not have it
	mute     bool // alone, it is not answered
	seam     bool // not to be merged with what is before it over a gap
	reported bool // that it is refused was logged
}

// factor returns what the reading is multiplied by, and whether that is known.
func (it *item) factor() (float64, bool) {
	f := 1.0
	for _, o := range it.times {
		if !o.known {
			return 0, false
		}
		f *= o.last
	}
	return f, true
}

// in returns it's part of the data of b. Bits are copied to scratch.
func (it *item) in(b *block, data, scratch []byte) []byte {
	at := it.addr - b.addr
	if it.table.bits() {
		return copyBits(scratch, data, at, it.count)
	}
	return data[2*at : 2*(at+it.count)]
}

// read returns the value in raw, and whether there is one.
func (it *item) read(raw []byte) (telemetry.Value, bool) {
	factor, ok := it.factor()
	if !ok {
		return telemetry.Value{}, false
	}
	if it.memo() {
		if it.value.Kind() == telemetry.KindNone || !bytes.Equal(raw, it.raw) {
			it.value, it.raw = it.decode(raw, factor), append(it.raw[:0], raw...)
		}
		return it.value, true
	}
	v := it.decode(raw, factor)
	if it.outside(v) {
		return telemetry.Value{}, false
	}
	if it.typ.numeric() {
		it.last, it.known = v.Float(), v.Valid()
	}
	return v, true
}
