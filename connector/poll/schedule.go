package poll

import (
	"container/heap"
	"context"
	"math"
	"time"
)

// An entry is a job, or a device's probe, in the schedule.
type entry struct {
	device   *device
	interval time.Duration
	poll     func(ctx context.Context, t *Turn) error

	at    time.Time // when it is due
	order int       // among entries that are due at the same time
	index int       // in the schedule; -1: not in it
}

// advance moves e from the grid point that was just served to the one to serve
// next, and returns how many points it passed over. If one or more points have
// gone by, the latest of them is next: late, but once.
func (e *entry) advance(now time.Time) (skipped int64) {
	n := int64(now.Sub(e.at) / e.interval)
	if n < 1 {
		e.at = e.at.Add(e.interval)
		return 0
	}
	e.at = e.at.Add(time.Duration(n) * e.interval)
	return n - 1
}

// catchUp moves e, which was not served for a while, to the latest grid point that
// has gone by, and returns how many it passed over. It leaves a point in the
// future alone.
func (e *entry) catchUp(now time.Time) (skipped int64) {
	n := int64(now.Sub(e.at) / e.interval)
	if n < 1 {
		return 0
	}
	e.at = e.at.Add(time.Duration(n) * e.interval)
	return n
}

// A schedule is a heap of entries, the one to run first on top.
type schedule []*entry

func (s schedule) Len() int { return len(s) }

func (s schedule) Less(i, j int) bool {
	if s[i].at.Equal(s[j].at) {
		return s[i].order < s[j].order
	}
	return s[i].at.Before(s[j].at)
}

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	e := x.(*entry)
	e.index = len(*s)
	*s = append(*s, e)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	old := *s
	n := len(old) - 1
	e := old[n]
	old[n] = nil
	e.index = -1
	*s = old[:n]
	return e
}

func (s *schedule) add(e *entry) { heap.Push(s, e) }

func (s *schedule) remove(e *entry) {
	if e.index >= 0 {
		heap.Remove(s, e.index)
	}
}

// move changes when e, which is in the schedule, is due.
func (s *schedule) move(e *entry, at time.Time) {
	e.at = at
	heap.Fix(s, e.index)
}

// Phase returns the i-th point of a sequence in [0, 1) whose points lie far from
// each other, wherever it is cut off: the fractions of the golden ratio. Phase(0)
// is 0.
func Phase(i int) float64 {
	_, f := math.Modf(float64(i) * (math.Sqrt(5) - 1) / 2)
	return f
}
