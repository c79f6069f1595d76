package mqttx

import "sync"

// acks are the messages that wait for their acknowledgement, in the order in
// which they came, which is that of the acknowledgements too (MQTT 5.0, 4.6).
type acks struct {
	limit int // of messages
	write func(packets []byte)

	mu      sync.Mutex
	first   uint64 // number of queue[0]
	queue   []unacked
	packets []byte
}

type unacked struct {
	id    uint16
	kind  byte // type of the packet that acknowledges it
	acked bool
}

var _ acker = (*acks)(nil)

// received adds a message and returns its number. It reports false if the broker
// sends more than it may.
func (a *acks) received(id uint16, qos byte) (seq uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= a.limit {
		return 0, false
	}
	kind := byte(packetPuback)
	if qos == 2 {
		kind = packetPubrec
	}
	a.queue = append(a.queue, unacked{id: id, kind: kind})
	return a.first + uint64(len(a.queue)) - 1, true
}

// ack implements acker: it writes the acknowledgements that are due. The lock is
// held meanwhile, so that they keep their order.
func (a *acks) ack(seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if seq < a.first || a.queue[seq-a.first].acked {
		return
	}
	a.queue[seq-a.first].acked = true
	due := 0
	a.packets = a.packets[:0]
	for due < len(a.queue) && a.queue[due].acked {
		a.packets = appendAck(a.packets, a.queue[due].kind, a.queue[due].id)
		due++
	}
	if due == 0 {
		return
	}
	a.first += uint64(due)
	a.queue = a.queue[:copy(a.queue, a.queue[due:])]
	a.write(a.packets)
}
