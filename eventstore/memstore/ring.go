package memstore

import "github.com/gridlinks/iot-gateway/eventstore"

// A ring holds records of consecutive offsets. Its length is a power of two.
type ring struct{ slots []eventstore.Record }

const minRing = 64

func (r *ring) at(offset uint64) eventstore.Record { return r.slots[offset&uint64(len(r.slots)-1)] }

// push adds the record that follows the held ones.
func (r *ring) push(rec eventstore.Record, held int) {
	if held == len(r.slots) {
		r.grow(rec.Offset, held)
	}
	r.slots[rec.Offset&uint64(len(r.slots)-1)] = rec
}

func (r *ring) grow(next uint64, held int) {
	old := *r
	r.slots = make([]eventstore.Record, max(minRing, 2*len(old.slots)))
	for o := next - uint64(held); o < next; o++ {
		r.slots[o&uint64(len(r.slots)-1)] = old.at(o)
	}
}

// pop removes the oldest record and returns its data.
func (r *ring) pop(offset uint64) []byte {
	slot := &r.slots[offset&uint64(len(r.slots)-1)]
	data := slot.Data
	*slot = eventstore.Record{}
	return data
}
