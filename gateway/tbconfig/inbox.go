package tbconfig

import (
	"log/slog"
	"maps"
	"sync"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxWaiting bounds the attributes that wait to be looked at.
const maxWaiting = 4096

// An inbox holds the latest values of shared attributes that were not looked at
// yet, so that a slow change of the configuration delays no message of the
// platform.
type inbox struct {
	log  *slog.Logger
	wake chan struct{} // holds a token while there is something

	mu      sync.Mutex
	waiting map[string]letter
	full    bool // it was, and that is logged
}

// A letter is the value of an attribute; of one that was deleted it is not valid.
type letter struct {
	from  *tbclient.Client
	value telemetry.Value
}

func newInbox(log *slog.Logger) *inbox {
	return &inbox{log: log, wake: make(chan struct{}, 1), waiting: make(map[string]letter)}
}

// put adds attributes. Later values replace earlier ones.
func (in *inbox) put(from *tbclient.Client, points []telemetry.Point, deleted []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	add := func(key string, v telemetry.Value) {
		if _, known := in.waiting[key]; known || len(in.waiting) < maxWaiting {
			in.waiting[key] = letter{from, v}
		} else if !in.full {
			in.full = true
			in.log.Warn("too many shared attributes of the gateway, some are ignored", "attribute", key)
		}
	}
	for _, p := range points {
		add(p.Key, p.Value)
	}
	for _, key := range deleted {
		add(key, telemetry.Value{})
	}
	in.rouse()
}

// rouse wakes the reader; in.mu is held.
func (in *inbox) rouse() {
	if len(in.waiting) == 0 {
		return
	}
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take returns what is there from a client, and empties the inbox of it.
func (in *inbox) take(from *tbclient.Client) map[string]telemetry.Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := make(map[string]telemetry.Value)
	for key, l := range in.waiting {
		if l.from == from {
			taken[key] = l.value
			delete(in.waiting, key)
		}
	}
	in.full = false
	return taken
}

// forget drops what is from a client that is not used any more, and lets the
// reader see what is left.
func (in *inbox) forget(from *tbclient.Client) {
	in.mu.Lock()
	defer in.mu.Unlock()
	maps.DeleteFunc(in.waiting, func(_ string, l letter) bool { return l.from == from })
	in.rouse()
}
