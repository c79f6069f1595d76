package gateway

import "container/heap"

// heldQueue is a heap of the entries that hold something, by when it is due.
type heldQueue []*entry

func (q heldQueue) Len() int           { return len(q) }
func (q heldQueue) Less(i, j int) bool { return q[i].held.wake < q[j].held.wake }
func (q heldQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i+1), int32(j+1)
}

func (q *heldQueue) Push(x any) {
	e := x.(*entry)
	*q = append(*q, e)
	e.index = int32(len(*q))
}

func (q *heldQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	e.index = 0
	*q = old[:len(old)-1]
	return e
}

// silence ends all repetitions, until there is a reading again.
func (f *filter) silence() {
	left := f.held[:0]
	for _, e := range f.held {
		if e.held.n == 0 {
			e.index, e.held = 0, reading{}
			continue
		}
		left = append(left, e)
		e.index = int32(len(left))
	}
	clear(f.held[len(left):])
	f.held = left
	heap.Init(&f.held)
}
