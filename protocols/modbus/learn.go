package modbus

import (
	"log/slog"
	"slices"
	"time"
)

// What a device does not have, or cannot give together with other things, is found out
// while it is polled, so that a register that is not there costs nothing but itself:
//
//   - A block that the device refuses is split until the registers that it does not
//     have are alone. They are left out, and the others are merged again around them.
//   - A block that is not answered while others are is split as well, and what stays
//     silent alone is rested: asked again after growing delays.
//   - If nothing at all is answered, a single register is asked next, a scout. When it
//     answers, the device is there, and the block is at fault.
//
// All of it is forgotten after a while, and found out again if it is still so.
const (
	// faultLimit is the number of polls in a row after which a block that alone
	// fails is split, or rested.
	faultLimit = 3

	// What was learnt is tried again after retryShortest, and then after delays
	// that double up to retryLongest. A register that is rested is asked after at
	// most retryShortest.
	retryShortest = 10 * time.Minute
	retryLongest  = 2 * time.Hour
)

// reset forgets what was learnt, and plans all of g's items.
func (g *group) reset() {
	for _, it := range g.items {
		it.refused, it.mute, it.seam = false, false, false
	}
	g.retry, g.learnt = 0, false
	g.blocks = plan(g.items, g.limits)
	if g.scratch == nil {
		g.scratch = make([]byte, 0, (maxReadBits+7)/8)
	}
}

// remember notes that something was learnt, to be tried again later.
func (g *group) remember(now time.Time) {
	g.learnt = true
	if g.retry == 0 {
		g.retry = retryShortest
		g.retryAt = now.Add(g.retry)
	}
}

// one returns a block that reads one item of b. They take turns.
func (g *group) one(b *block) block {
	g.turn++
	it := b.items[g.turn%len(b.items)]
	return block{table: it.table, addr: it.addr, count: it.count, items: []*item{it}}
}

// scout follows the silence of block i while nothing was answered. Another goes first
// next time: if it is answered, only block i is at fault.
func (g *group) scout(i int) {
	silent := g.blocks[i]
	g.blocks = slices.Delete(g.blocks, i, i+1)
	if !silent.scout {
		silent.suspect = true
		g.blocks = append(g.blocks, silent)
	} else if len(g.blocks) > 0 {
		silent = g.blocks[0]
	}
	if silent.suspect && len(silent.items) > 1 {
		one := g.one(&silent)
		one.scout = true
		g.blocks = slices.Insert(g.blocks, 0, one)
	}
}

// refuse handles the refusal of block i: it is split until the registers that the
// device does not have are alone, and these are left out.
func (g *group) refuse(i int, code uint8, err error, now time.Time) {
	g.target.healthy = true
	b := g.blocks[i]
	g.remember(now)
	if code != IllegalFunction && !b.trial {
		if parts := b.cut(); parts != nil {
			g.blocks = slices.Replace(g.blocks, i, i+1, parts...)
			return
		}
	}
	g.blocks = slices.Delete(g.blocks, i, i+1)
	g.replan = g.replan || !b.trial
	for _, it := range b.items {
		it.refused = true
		if !it.reported {
			it.reported = true
			g.log().Warn("register is refused", slog.String("device", g.target.device.Name), slog.String("key", it.key),
				slog.String("table", it.table.String()), slog.Int("address", it.addr), slog.Any("error", err))
		}
	}
}

// fault handles the failure of block i while others answer. It is split, or rested if it
// cannot be split, but not before some polls in a row unless it was found out already.
// It returns the index of the block to read next.
func (g *group) fault(i int, err error, now time.Time) (next int) {
	b := &g.blocks[i]
	b.faults++
	several := len(b.items) > 1
	if b.faults < faultLimit && (!b.suspect || !several) {
		return i + 1
	}
	g.remember(now)
	if parts := b.cut(); parts != nil {
		for j := range parts {
			parts[j].faults = faultLimit - 1
		}
		g.blocks = slices.Replace(g.blocks, i, i+1, parts...)
		return i + len(parts)
	}
	if !b.mute {
		b.mute, g.replan = true, true
		for _, it := range b.items {
			it.mute = true
		}
		g.log().Warn("registers do not answer", append(g.place(b), slog.String("key", b.items[0].key), slog.Any("error", err))...)
	}
	b.hold = now.Add(min(time.Minute<<min(max(b.faults-faultLimit, 0), 10), retryShortest))
	return i + 1
}

// readmit tries what was learnt again when it is time.
func (g *group) readmit(now time.Time) {
	if g.retry == 0 || now.Before(g.retryAt) {
		return
	}
	if !g.learnt {
		g.retry = 0 // and it is so no more
		return
	}
	g.retry = min(2*g.retry, retryLongest)
	g.retryAt = now.Add(g.retry)
	g.learnt = false
	var refused []*item
	for _, it := range g.items {
		it.seam = false
		if it.refused {
			refused = append(refused, it)
		}
	}
	g.merge()
	for i := range g.blocks {
		g.blocks[i].faults = max(g.blocks[i].faults, faultLimit-1) // once is enough to know it again
	}
	for _, b := range plan(refused, limits{registers: g.limits.registers, discreteCount: g.limits.discreteCount}) {
		b.trial = true
		g.blocks = append(g.blocks, b)
	}
}

// merge plans the registers that answer anew. Those that are rested stay by themselves.
func (g *group) merge() {
	rested := slices.DeleteFunc(slices.Clone(g.blocks), func(b block) bool { return !b.mute })
	around := g.limits
	around.learnt = true
	g.blocks = append(plan(g.items, around), rested...)
}
