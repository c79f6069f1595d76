package tbclient

import (
	"sync/atomic"
	"time"
)

// Stats counts what a Client has done since it was made.
type Stats struct {
	Connected bool   // the platform is connected and devices are announced
	Connects  uint64 // connections that were made

	Packets uint64 // publications of telemetry and attributes
	Bytes   uint64 // of their payloads
	Acks    uint64 // of them, acknowledged
	Failed  uint64 // of them, under way when their connection ended

	Skipped  uint64 // values without a device or that cannot be sent, left out
	Oversize uint64 // values too large for any payload, left out

	Quarantined uint64 // values that the platform does not take

	Calls     uint64 // remote procedure calls received
	Busy      uint64 // of them, refused because too many were waiting
	Lost      uint64 // replies that could not be sent in time
	Updates   uint64 // attribute updates received
	Malformed uint64 // messages from the platform that make no sense
}

type counters struct {
	connects, packets, bytes, acks, failed atomic.Uint64
	skipped, oversize, quarantined         atomic.Uint64
	calls, busy, lost, updates, malformed  atomic.Uint64
}

// Stats returns the state of c. It may be called at any time and does not wait
// for the network.
func (c *Client) Stats() Stats {
	n := &c.count
	return Stats{
		Connected: c.current() != nil,
		Connects:  n.connects.Load(),
		Packets:   n.packets.Load(),
		Bytes:     n.bytes.Load(),
		Acks:      n.acks.Load(),
		Failed:    n.failed.Load(),
		Skipped:   n.skipped.Load(),
		Oversize:  n.oversize.Load(),

		Quarantined: n.quarantined.Load(),

		Calls:     n.calls.Load(),
		Busy:      n.busy.Load(),
		Lost:      n.lost.Load(),
		Updates:   n.updates.Load(),
		Malformed: n.malformed.Load(),
	}
}

// A quiet lets one of many like events be logged every ten seconds.
type quiet struct{ next atomic.Int64 }

const quietFor = 10 * time.Second

func (q *quiet) allow() bool {
	now := time.Now().UnixNano()
	next := q.next.Load()
	return now >= next && q.next.CompareAndSwap(next, now+int64(quietFor))
}
