package modbus

import (
	"cmp"
	"slices"
	"time"
)

// A block is a run of addresses that one request reads.
type block struct {
	table Table
	addr  int
	count int
	items []*item // in order of address

	faults  int       // consecutive polls in which this block failed while others did not
	suspect bool      // nothing was answered when it was read last
	scout   bool      // it finds out whether the device is there, and is read once
	trial   bool      // its registers were refused before
	mute    bool      // it cannot be split, and is rested
	hold    time.Time // not read before; used while it is rested
}

// limits bound a plan.
type limits struct {
	gap, bitGap   int // unused registers or bits that are read along
	registers     int // of one request
	discreteCount int // bits of one request

	// learnt leaves out the items that do not answer, and does not read over
	// them and the seams between others.
	learnt bool
}

// plan merges items into the fewest requests: neighbours are joined as long as the
// gap between them and the size of the request stay within the limits. A value is
// never split. The greedy join is optimal, since requests are contiguous.
func plan(items []*item, l limits) []block {
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.addr, b.addr))
	})
	var blocks []block
	var hole *item // the last one to go around
	for _, it := range sorted {
		if l.learnt && (it.refused || it.mute) {
			hole = it
			continue
		}
		if n := len(blocks); n > 0 && (!l.learnt || !blocks[n-1].parted(it, hole)) && blocks[n-1].join(it, l) {
			continue
		}
		blocks = append(blocks, block{table: it.table, addr: it.addr, count: it.count, items: []*item{it}})
	}
	return blocks
}

// parted reports whether between b and it is what must not be read along.
func (b *block) parted(it, hole *item) bool {
	end := b.addr + b.count
	return it.addr > end && (it.seam || hole != nil && hole.table == b.table && hole.addr+hole.count > end)
}

// join adds it to b, unless that breaks a limit.
func (b *block) join(it *item, l limits) bool {
	gap, size := l.gap, l.registers
	if it.table.bits() {
		gap, size = l.bitGap, l.discreteCount
	}
	count := max(b.count, it.addr+it.count-b.addr)
	if it.table != b.table || it.addr-(b.addr+b.count) > max(gap, 0) || count > size {
		return false
	}
	b.count = count
	b.items = append(b.items, it)
	return true
}

// split returns two or more blocks that read the items of b: b cut at its gaps, or
// into halves if it has none. A block of one address range cannot be split.
func (b *block) split() []block {
	parts := plan(b.items, unlimited())
	if len(parts) > 1 {
		return parts
	}
	for _, half := range [...]int{len(b.items) / 2, 1} {
		for at := half; at > 0 && at < len(b.items); at++ {
			if end(b.items[:at]) <= b.items[at].addr {
				return append(plan(b.items[:at], unlimited()), plan(b.items[at:], unlimited())...)
			}
		}
	}
	return nil
}

// cut splits b, and marks the seams at its gaps.
func (b *block) cut() []block {
	parts := b.split()
	for i := 1; i < len(parts); i++ {
		if before := parts[i-1]; parts[i].addr > before.addr+before.count {
			parts[i].items[0].seam = true
		}
	}
	return parts
}

func unlimited() limits {
	return limits{registers: maxReadRegisters, discreteCount: maxReadBits}
}

// end returns the address after the last of items.
func end(items []*item) (addr int) {
	for _, it := range items {
		addr = max(addr, it.addr+it.count)
	}
	return addr
}
