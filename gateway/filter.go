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

// sweepEvery is how often the keys without a reading since the last time are
// forgotten.
const sweepEvery = 12 * time.Hour

// A filter applies report policies. A decision is provisional until commit,
// because it only counts once what is reported is stored. Times are nanoseconds
// since its base, by a clock that does not jump.
type filter struct {
	base    time.Time
	devices map[string]*filtered
	entries int
	held    heldQueue
	steps   []step // decisions since the last commit
	swept   int64
	epoch   atomic.Uint32 // what was reported in an earlier epoch is forgotten
}

// filtered is what a filter knows of a device.
type filtered struct {
	device telemetry.Device
	keys   [2]map[string]*entry // of telemetry, and of attributes
}

// An entry is what a filter knows of a key.
type entry struct {
	of     *filtered
	key    string
	policy *telemetry.ReportPolicy

	reported telemetry.Value
	since    int64 // when it was reported
	due      int64 // when the period is over

	held reading

	epoch     uint32
	index     int32 // in the queue, from 1; 0: not in it
	staged    int32 // the step that reports it, from 1; 0: none
	attribute bool
	known     bool // reported is set, in the epoch
	used      bool // there was a reading since the last sweep
}

// A reading is held back.
type reading struct {
	value telemetry.Value
	ts    int64  // of the last one
	wake  int64  // when it is to be reported
	n     uint32 // how many it stands for; 0: the reported value is to be repeated
}

// A step is a decision that can be undone.
type step struct {
	e       *entry
	before  reading
	wasHeld bool
	kind    stepKind
	value   telemetry.Value // that is reported
}

type stepKind uint8

const (
	holdStep    stepKind = iota
	reportStep           // of a reading
	releaseStep          // of what is held
	discardStep          // of what is held and cannot be sent
)

func newFilter() filter { return filter{base: time.Now()} }

// at returns the filter's time.
func (f *filter) at(now time.Time) int64 { return int64(now.Sub(f.base)) }

// pass decides whether p is to be stored now. Otherwise it is dropped, or held
// back until its time has come.
func (f *filter) pass(d telemetry.Device, p *telemetry.Point, attribute bool, policy *telemetry.ReportPolicy, now int64) bool {
	e := f.entry(d, p.Key, attribute)
	if e == nil {
		return true
	}
	e.policy, e.used = policy, true
	report, wake := f.decide(e, p.Value, now)
	switch {
	case report:
		f.report(e, p.Value)
		return true
	case wake > 0:
		f.hold(e, p, wake)
	case e.index > 0: // the value is what it was, so there is nothing to report
		f.note(e, holdStep)
		f.unhold(e)
	}
	return false
}

// decide reports whether v is to be reported now, or when otherwise; zero: never.
func (f *filter) decide(e *entry, v telemetry.Value, now int64) (report bool, wake int64) {
	p := e.policy
	last, since, known := f.last(e, now)
	if p.Aggregate != telemetry.AggregateLast {
		if e.due <= now && e.held.n == 0 { // a period begins
			e.due = now + int64(p.Period)
		}
		return false, e.due
	}
	due := e.due
	if e.staged > 0 {
		due = e.nextDue(now, f.epoch.Load())
	}
	again := known && p.TTL > 0 && now-since >= int64(p.TTL)
	over := e.staged == 0 && e.due <= now
	switch p.Mode {
	case telemetry.OnReceived:
		report = true
	case telemetry.OnChange:
		report = !known || again || p.Changed(last, v)
	case telemetry.OnPeriod:
		report, wake = !known || over, due
	default:
		report, wake = !known || over || again || p.Changed(last, v), due
	}
	earliest := since + int64(p.MinInterval)
	if p.MinInterval == 0 || !known || p.Mode == telemetry.OnPeriod {
		return report, wake
	}
	if report {
		return now >= earliest, earliest
	}
	if wake > 0 {
		wake = max(wake, earliest)
	}
	return false, wake
}

// last returns the value that was reported last, or is about to be, and when.
func (f *filter) last(e *entry, now int64) (v telemetry.Value, since int64, known bool) {
	if e.staged > 0 {
		return f.steps[e.staged-1].value, now, true
	}
	return e.reported, e.since, e.known && e.epoch == f.epoch.Load()
}

func (f *filter) entry(d telemetry.Device, key string, attribute bool) *entry {
	kind := 0
	if attribute {
		kind = 1
	}
	of := f.devices[d.Name]
	if of != nil {
		if e := of.keys[kind][key]; e != nil {
			return e
		}
	}
	if f.entries >= maxFiltered {
		return nil
	}
	if of == nil {
		of = &filtered{device: telemetry.Device{Name: strings.Clone(d.Name)}}
		if f.devices == nil {
			f.devices = make(map[string]*filtered)
		}
		f.devices[of.device.Name] = of
	}
	if d.Profile != of.device.Profile {
		of.device.Profile = strings.Clone(d.Profile)
	}
	if of.keys[kind] == nil {
		of.keys[kind] = make(map[string]*entry)
	}
	e := &entry{of: of, key: strings.Clone(key), attribute: attribute}
	of.keys[kind][e.key] = e
	f.entries++
	return e
}

// note remembers how to undo a decision about e.
func (f *filter) note(e *entry, kind stepKind) *step {
	f.steps = append(f.steps, step{e: e, before: e.held, wasHeld: e.index > 0, kind: kind})
	return &f.steps[len(f.steps)-1]
}

// report has v reported. What is held back is older, and is superseded.
func (f *filter) report(e *entry, v telemetry.Value) {
	f.note(e, reportStep).value = v
	e.staged = int32(len(f.steps))
	f.unhold(e)
}

// hold keeps p until wake.
func (f *filter) hold(e *entry, p *telemetry.Point, wake int64) {
	f.note(e, holdStep)
	before := e.held.value
	acc, n := e.policy.Aggregate.Add(before, int(e.held.n), p.Value)
	if acc != before {
		acc = own(acc)
	} else {
		acc = before
	}
	e.held = reading{value: acc, ts: p.TS, wake: wake, n: uint32(n)}
	f.enqueue(e)
}

// enqueue puts e where it belongs in the queue.
func (f *filter) enqueue(e *entry) {
	if e.index > 0 {
		heap.Fix(&f.held, int(e.index-1))
		return
	}
	heap.Push(&f.held, e)
}

// unhold drops what is held of e.
func (f *filter) unhold(e *entry) {
	if e.index > 0 {
		heap.Remove(&f.held, int(e.index-1))
	}
	e.held = reading{}
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
func (f *filter) commit(now int64) {
	for i := range f.steps {
		s := &f.steps[i]
		switch s.kind {
		case releaseStep:
			f.unhold(s.e)
			f.reported(s, now)
		case reportStep:
			f.reported(s, now)
		case discardStep:
			f.unhold(s.e)
		}
		*s = step{}
	}
	f.steps = f.steps[:0]
}

// reported notes that the value of s was.
func (f *filter) reported(s *step, now int64) {
	e, epoch := s.e, f.epoch.Load()
	e.due = e.nextDue(now, epoch)
	if e.reported != s.value {
		e.reported = own(s.value)
	}
	e.since, e.known, e.epoch, e.staged = now, true, epoch, 0
	if e.policy.Repeat && e.index == 0 {
		e.held = reading{wake: e.due}
		f.enqueue(e)
	}
}

// nextDue returns when the period is over in which there is a report now. Periods
// follow one another without a gap, unless there was none for a whole one.
func (e *entry) nextDue(now int64, epoch uint32) int64 {
	period := int64(e.policy.Period)
	switch late := now - e.due; {
	case !e.known || e.epoch != epoch || late >= period:
		return now + period
	case late >= 0:
		return e.due + period
	default:
		return e.due
	}
}

// rollback undoes the decisions since the last commit.
func (f *filter) rollback() {
	for i := len(f.steps) - 1; i >= 0; i-- {
		s := &f.steps[i]
		e := s.e
		e.held, e.staged = s.before, 0
		switch {
		case s.wasHeld:
			f.enqueue(e)
		case e.index > 0:
			heap.Remove(&f.held, int(e.index-1))
		}
		*s = step{}
	}
	f.steps = f.steps[:0]
}

// forget makes the next reading of every key news. Unlike the other methods it
// may be called at any time.
func (f *filter) forget() { f.epoch.Add(1) }

// wake returns when the first of what is held is to be reported.
func (f *filter) wake() (at int64, ok bool) {
	if len(f.held) == 0 {
		return 0, false
	}
	return f.held[0].held.wake, true
}

// release adds to b what is held and selected by which, to be committed when b
// is stored. What has to be stamped gets the time ts. It returns how many values
// are dropped because they cannot be sent.
func (f *filter) release(b *telemetry.Batch, which func(*entry) bool, now, ts int64) (invalid uint64) {
	var device *filtered
	for _, e := range f.held {
		repeated := e.held.n == 0
		if !which(e) || repeated && e.held.wake > now {
			continue
		}
		p := telemetry.Point{Key: e.key, Value: e.reported, TS: ts}
		if !repeated {
			p.Value, p.TS = e.policy.Aggregate.Result(e.held.value, int(e.held.n)), e.held.ts
		}
		if !p.Value.Valid() {
			f.note(e, discardStep)
			invalid++
			continue
		}
		if e.of != device {
			device = e.of
			b.Device(device.device.Name, device.device.Profile)
		}
		if e.attribute {
			b.AddAttribute(p)
		} else {
			b.AddTelemetry(p)
		}
		f.note(e, releaseStep).value = p.Value
	}
	return invalid
}

// drop forgets a device.
func (f *filter) drop(device string) {
	of := f.devices[device]
	if of == nil {
		return
	}
	delete(f.devices, device)
	for _, keys := range of.keys {
		for _, e := range keys {
			f.unhold(e)
		}
		f.entries -= len(keys)
	}
}

// sweep forgets, now and then, the keys without readings.
func (f *filter) sweep(now int64) {
	if now-f.swept < int64(sweepEvery) {
		return
	}
	f.swept = now
	for name, of := range f.devices {
		left := 0
		for _, keys := range of.keys {
			for key, e := range keys {
				if !e.used && e.held.n == 0 {
					f.unhold(e)
					delete(keys, key)
					f.entries--
				}
				e.used = false
			}
			left += len(keys)
		}
		if left == 0 {
			delete(f.devices, name)
		}
	}
}
