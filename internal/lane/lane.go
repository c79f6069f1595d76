// Package lane runs jobs in order for each key, and concurrently for different
// keys, with bounded queues and without goroutines while there is nothing to do.
package lane

import (
	"errors"
	"sync"
)

// ErrFull is returned by Go when a lane's queue is full.
var ErrFull = errors.New("lane: queue is full")

// Lanes runs jobs by key. The zero Lanes is ready to use and queues up to
// DefaultDepth jobs a key. It is safe for concurrent use.
type Lanes struct {
	// Depth bounds the jobs of one key that wait. Zero: DefaultDepth. Not to
	// be changed once Go was called.
	Depth int

	mu     sync.Mutex
	queues map[string][]func()
	wg     sync.WaitGroup
}

// DefaultDepth is the number of jobs that may wait in one lane.
const DefaultDepth = 100

// Go queues job behind the earlier jobs of key and returns at once. It returns
// ErrFull, and drops job, if too many are waiting.
func (l *Lanes) Go(key string, job func()) error {
	depth := l.Depth
	if depth <= 0 {
		depth = DefaultDepth
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q, busy := l.queues[key]
	if busy {
		if len(q) >= depth {
			return ErrFull
		}
		l.queues[key] = append(q, job)
		return nil
	}
	if l.queues == nil {
		l.queues = make(map[string][]func())
	}
	l.queues[key] = nil
	l.wg.Go(func() { l.drain(key, job) })
	return nil
}

// Wait blocks until no job runs or waits. Jobs that are added meanwhile are
// waited for too, so stop adding first.
func (l *Lanes) Wait() { l.wg.Wait() }

func (l *Lanes) drain(key string, job func()) {
	for job != nil {
		job()
		job = l.next(key)
	}
}

// next takes the next job of key, or closes the lane.
func (l *Lanes) next(key string) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[key]
	if len(q) == 0 {
		delete(l.queues, key)
		return nil
	}
	job := q[0]
	q[0] = nil
	l.queues[key] = q[1:]
	return job
}
