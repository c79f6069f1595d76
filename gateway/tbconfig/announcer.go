package tbconfig

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxAttribute bounds an attribute that tells a configuration, in bytes, below
// what a platform takes in one message.
const maxAttribute = 50_000

// A teller takes the attributes of the gateway's own device.
type teller interface {
	PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error
}

// An announcer tells the platform the configuration in effect, as client
// attributes: the latest value of each, again when the platform is another one.
type announcer struct {
	log  *slog.Logger
	wake chan struct{} // holds a token while there is something to tell

	mu     sync.Mutex
	to     teller // nil: nothing is told
	values map[string]telemetry.Value
	untold map[string]bool
	ended  context.CancelFunc // of the message under way
}

func newAnnouncer(log *slog.Logger) *announcer {
	return &announcer{log: log, wake: make(chan struct{}, 1), values: make(map[string]telemetry.Value), untold: make(map[string]bool)}
}

// use makes a tell everything to another platform; nil: nothing to nobody.
func (a *announcer) use(to teller) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = to
	for key := range a.values {
		a.untold[key] = true
	}
	if a.ended != nil {
		a.ended() // it may wait for a platform that is not used any more
	}
	a.rouse()
}

// tell announces an attribute, unless the platform knows that value. The secrets
// in it must be masked.
func (a *announcer) tell(key string, raw json.RawMessage) {
	v, err := telemetry.JSON(raw)
	if err == nil && len(raw) > maxAttribute {
		err = fmt.Errorf("its %d bytes are more than the platform takes", len(raw))
	}
	if err != nil {
		a.log.Warn("configuration cannot be told to the platform", "attribute", key, "error", err)
		return
	}
	a.tellValue(key, v)
}

func (a *announcer) tellValue(key string, v telemetry.Value) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, ok := a.values[key]; ok && before == v {
		return
	}
	a.values[key] = v
	a.untold[key] = true
	a.rouse()
}

// forget ends the announcement of an attribute.
func (a *announcer) forget(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.values, key)
	delete(a.untold, key)
}

// rouse wakes run; a.mu is held.
func (a *announcer) rouse() {
	if a.to == nil || len(a.untold) == 0 {
		return
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run tells what there is to tell until ctx is done.
func (a *announcer) run(ctx context.Context) {
	b := backoff.Backoff{Longest: 10 * time.Second}
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			told, err := a.tellNext(ctx)
			if err == nil && !told {
				break
			}
			if err == nil {
				b.Reset()
				continue
			}
			if b.Wait(ctx) != nil {
				return
			}
		}
	}
}

// tellNext tells one attribute, the first by name, and reports false if there is
// none.
func (a *announcer) tellNext(ctx context.Context) (told bool, err error) {
	a.mu.Lock()
	to := a.to
	keys := slices.Sorted(maps.Keys(a.untold))
	if to == nil || len(keys) == 0 {
		a.mu.Unlock()
		return false, nil
	}
	key := keys[0]
	v := a.values[key]
	delete(a.untold, key)
	ctx, a.ended = context.WithCancel(ctx)
	ended := a.ended
	a.mu.Unlock()

	err = to.PublishOwn(ctx, nil, []telemetry.Point{{Key: key, Value: v}})
	a.mu.Lock()
	defer a.mu.Unlock()
	ended()
	a.ended = nil
	if _, known := a.values[key]; err != nil && known {
		a.untold[key] = true
	}
	return err == nil, err
}
