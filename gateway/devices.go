package gateway

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxDevices bounds the devices that commands can be routed to. Data of further
// devices is stored and published all the same.
const maxDevices = 100_000

// maxAhead bounds how far, in milliseconds, the stamps of a device may run
// ahead of the clock.
const maxAhead = 1000

// devices knows which connector a device was last seen on.
type devices struct {
	mu     sync.RWMutex
	byName map[string]*device
}

type device struct {
	owner atomic.Pointer[running]
	last  atomic.Int64 // the latest stamp
}

// touch notes that r speaks for d. It allocates for a new device only.
func (ds *devices) touch(d telemetry.Device, r *running) *device {
	ds.mu.RLock()
	dev := ds.byName[d.Name]
	ds.mu.RUnlock()
	if dev == nil {
		dev = ds.add(d.Name)
	}
	if dev.owner.Load() != r {
		dev.owner.Store(r)
	}
	return dev
}

func (ds *devices) add(name string) *device {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if dev := ds.byName[name]; dev != nil {
		return dev
	}
	dev := new(device)
	if len(ds.byName) >= maxDevices {
		return dev
	}
	if ds.byName == nil {
		ds.byName = make(map[string]*device)
	}
	ds.byName[strings.Clone(name)] = dev
	return dev
}

// owner returns the connector that speaks for the named device, or nil.
func (ds *devices) owner(name string) *running {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	if dev := ds.byName[name]; dev != nil {
		return dev.owner.Load()
	}
	return nil
}

// remove forgets the devices of r and returns their names.
func (ds *devices) remove(r *running) []string {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	var names []string
	for name, dev := range ds.byName {
		if dev.owner.Load() == r {
			names = append(names, name)
			delete(ds.byName, name)
		}
	}
	return names
}

// stamp returns the time for a batch that is submitted at now, in milliseconds.
// The platform keeps one value for a key and a millisecond, so two batches of a
// device get different stamps even if they come within one.
func (d *device) stamp(now int64) int64 {
	for {
		last := d.last.Load()
		ts := now
		if ts <= last && last-ts < maxAhead {
			ts = last + 1
		}
		if d.last.CompareAndSwap(last, ts) {
			return ts
		}
	}
}
