package main

import (
	"maps"
	"sync"

	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// A ledger is the platform's side: what has arrived.
type ledger struct {
	mu       sync.Mutex
	count    map[string]int            // readings, by device
	latest   map[string]map[string]any // values, by device and key
	numbers  map[string]map[int64]bool // of the sensors' messages
	distinct map[point]bool
	repeated int
}

type point struct {
	device, key string
	ts          int64
}

func newLedger() *ledger {
	return &ledger{
		count: make(map[string]int), latest: make(map[string]map[string]any),
		numbers: make(map[string]map[int64]bool), distinct: make(map[point]bool),
	}
}

func (l *ledger) add(r tbtest.Reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := point{r.Device, r.Key, r.TS}
	if l.distinct[p] {
		l.repeated++
		return
	}
	l.distinct[p] = true
	l.count[r.Device]++
	if l.latest[r.Device] == nil {
		l.latest[r.Device] = make(map[string]any)
		l.numbers[r.Device] = make(map[int64]bool)
	}
	l.latest[r.Device][r.Key] = r.Value
	if n, ok := r.Value.(int64); ok && r.Key == "n" {
		l.numbers[r.Device][n] = true
	}
}

// sensors returns how many of the messages that were sent have not arrived.
func (l *ledger) sensors(sent map[string]int64) (missing int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, last := range sent {
		for n := int64(1); n <= last; n++ {
			if !l.numbers[name][n] {
				missing++
			}
		}
	}
	return missing
}

// row is what the table shows of a device.
type row struct {
	count  int
	values map[string]any
}

func (l *ledger) row(device string) row {
	l.mu.Lock()
	defer l.mu.Unlock()
	return row{l.count[device], maps.Clone(l.latest[device])}
}

// totals returns how many readings arrived, and how many arrived again.
func (l *ledger) totals() (arrived, repeated int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.distinct), l.repeated
}
