package gateway

import (
	"container/heap"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxFiltered bounds the keys whose last reading a connector's filter
// remembers. The readings of further keys are all reported.
const maxFiltered = 100_000

// A filter applies report policies. A decision to report is provisional until
// commit, because it only counts once the reading is stored.
type filter struct {
	entries map[pointKey]*entry
	held    heldQueue
	staged  []*entry
	epoch   atomic.Uint64 // what was reported in an earlier epoch is forgotten
}

type pointKey struct {
	device, key string
	attribute   bool
}

// An entry is what a filter knows of a key.
type entry struct {
	pointKey
	device telemetry.Device

	reported telemetry.Value
	known    bool   // reported is set, in the epoch
	epoch    uint64 //
	due      time.Time
	period   time.Duration

	next     telemetry.Value // to become reported on commit
	isStaged bool

	reading telemetry.Value // held back, with its time
	ts      int64
	index   int // in the queue of held readings, from 1; 0: not held
}

// pass decides whether p is to be stored now. Otherwise it is dropped, or held
// back until its period is over.
func (f *filter) pass(d telemetry.Device, p *telemetry.Point, attribute bool, policy *telemetry.ReportPolicy, now time.Time) bool {
	e := f.entry(d, p.Key, attribute)
	if e == nil {
		return true
	}
	e.period = policy.Period
	last, known := e.last(f.epoch.Load())
	due := !e.isStaged && !now.Before(e.due)
	var report bool
	switch policy.Mode {
	case telemetry.OnChange:
		report = !known || policy.Changed(last, p.Value)
	case telemetry.OnPeriod:
		report = !known || due
	default:
		report = !known || due || policy.Changed(last, p.Value)
	}
	switch {
	case report:
		f.stage(e, p.Value)
	case policy.Mode != telemetry.OnChange:
		f.hold(e, p)
	}
	return report
}

// last returns the value that was reported last, or is about to be.
func (e *entry) last(epoch uint64) (telemetry.Value, bool) {
	if e.isStaged {
		return e.next, true
	}
	return e.reported, e.known && e.epoch == epoch
}

func (f *filter) entry(d telemetry.Device, key string, attribute bool) *entry {
	k := pointKey{d.Name, key, attribute}
	if e, ok := f.entries[k]; ok {
		return e
	}
	if len(f.entries) >= maxFiltered {
		return nil
	}
	if f.entries == nil {
		f.entries = make(map[pointKey]*entry)
	}
	k.device, k.key = strings.Clone(d.Name), strings.Clone(key)
	e := &entry{pointKey: k, device: telemetry.Device{Name: k.device, Profile: strings.Clone(d.Profile)}}
	f.entries[k] = e
	return e
}

func (f *filter) stage(e *entry, v telemetry.Value) {
	e.next = v
	if !e.isStaged {
		e.isStaged = true
		f.staged = append(f.staged, e)
	}
}

// hold keeps p, the latest reading of e, until the period is over.
func (f *filter) hold(e *entry, p *telemetry.Point) {
	if e.index == 0 || e.reading != p.Value {
		e.reading = own(p.Value)
	}
	e.ts = p.TS
	if e.index == 0 {
		heap.Push(&f.held, e)
	}
}

// own returns v with memory of its own.
func own(v telemetry.Value) telemetry.Value {
	kind, num, str := v.Parts()
	if str == "" {
		return v
	}
	return telemetry.Restore(kind, num, strings.Clone(str))
}

// commit makes the decisions since the last commit count.
func (f *filter) commit(now time.Time) {
	epoch := f.epoch.Load()
	for i, e := range f.staged {
		if e.reported != e.next {
			e.reported = own(e.next)
		}
		if !now.Before(e.due) || e.epoch != epoch {
			e.due = now.Add(e.period)
		}
		e.known, e.epoch, e.isStaged, e.next = true, epoch, false, telemetry.Value{}
		if e.index > 0 {
			heap.Remove(&f.held, e.index-1)
		}
		f.staged[i] = nil
	}
	f.staged = f.staged[:0]
}

// rollback undoes the decisions since the last commit.
func (f *filter) rollback() {
	for i, e := range f.staged {
		e.isStaged, e.next = false, telemetry.Value{}
		f.staged[i] = nil
	}
	f.staged = f.staged[:0]
}

// forget makes the next reading of every key news. Unlike the other methods it
// may be called at any time.
func (f *filter) forget() { f.epoch.Add(1) }

// due returns when the first held reading is to be reported.
func (f *filter) due() (time.Time, bool) {
	if len(f.held) == 0 {
		return time.Time{}, false
	}
	return f.held[0].due, true
}

// stageHeld adds to b the held readings that which selects, to be committed
// when b is stored.
func (f *filter) stageHeld(b *telemetry.Batch, which func(*entry) bool) {
	device := ""
	for _, e := range f.held {
		if !which(e) {
			continue
		}
		if e.device.Name != device {
			device = e.device.Name
			b.Device(device, e.device.Profile)
		}
		p := telemetry.Point{Key: e.key, Value: e.reading, TS: e.ts}
		if e.attribute {
			b.AddAttribute(p)
		} else {
			b.AddTelemetry(p)
		}
		f.stage(e, e.reading)
	}
}

// drop forgets a device.
func (f *filter) drop(device string) {
	for k, e := range f.entries {
		if k.device != device {
			continue
		}
		if e.index > 0 {
			heap.Remove(&f.held, e.index-1)
		}
		delete(f.entries, k)
	}
}

// heldQueue is a heap of the entries with a held reading, by when it is due.
type heldQueue []*entry

func (q heldQueue) Len() int           { return len(q) }
func (q heldQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q heldQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i+1, j+1
}

func (q *heldQueue) Push(x any) {
	e := x.(*entry)
	*q = append(*q, e)
	e.index = len(*q)
}

func (q *heldQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	e.index = 0
	*q = old[:len(old)-1]
	return e
}
