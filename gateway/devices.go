package gateway

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxDevices bounds the devices that are known. Data of further devices is
// stored and published all the same; commands do not reach them.
const maxDevices = 100_000

// maxAhead bounds how far, in milliseconds, the stamps of a device may run
// ahead of the clock.
const maxAhead = 1000

// devices knows the devices, and which connector each was last seen on.
type devices struct {
	changed func() // called when something that is kept has changed; may be nil

	mu     sync.RWMutex
	byName map[string]*device
}

// presence is what a device's connector, or its silence, says of it.
type presence int32

const (
	present presence = iota
	away             // its connector said so
	silent           // it had no data for the idle time-out
)

// A device is what the gateway knows of a device.
type device struct {
	name    string
	profile atomic.Pointer[string]
	owner   atomic.Pointer[running] // nil until a connector of the kept name appears
	passed  atomic.Pointer[guests]  // that it was found to pass
	last    atomic.Int64            // the latest stamp
	state   atomic.Int32            // presence

	// unheard says that the owner did not speak for it yet, but the connector
	// that it replaced did.
	unheard atomic.Bool

	// kept says that it is known from an earlier run, and was not announced yet.
	kept atomic.Bool

	heard                            atomic.Int64 // when data came last, in Unix milliseconds
	active                           atomic.Int64 // that, or when it was announced, since the gateway was made
	messages, points, calls, updates atomic.Uint64

	keptConnector, keptID string // from the file; not to be changed
}

func (d *device) presence() presence { return presence(d.state.Load()) }

func (d *device) online() bool { return d.presence() == present && d.owner.Load() != nil }

func (d *device) device() telemetry.Device {
	return telemetry.Device{Name: d.name, Profile: d.profileName()}
}

func (d *device) profileName() string {
	if p := d.profile.Load(); p != nil {
		return *p
	}
	return ""
}

// DeviceInfo describes a device at one moment.
type DeviceInfo struct {
	Name      string
	Profile   string // the type that its connector gave it
	Connector string
	Online    bool
	LastData  time.Time // when data came last; zero if none did

	Messages         uint64 // batches with data of the device
	Points           uint64 // in them, before the report policy
	RPCs             uint64 // remote procedure calls
	AttributeUpdates uint64

	Renamed string // what the platform calls it, if that is something else
}

// Devices returns what is known of the devices, by name. That is the last
// 100,000 at most.
func (g *Gateway) Devices() []DeviceInfo {
	renamer, _ := g.north.Load().Platform.(Renamer)
	all := g.devices.all()
	infos := make([]DeviceInfo, 0, len(all))
	for _, d := range all {
		info := d.info()
		if renamer != nil {
			if as := renamer.PlatformName(d.name); as != d.name {
				info.Renamed = as
			}
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b DeviceInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}

func (d *device) info() DeviceInfo {
	info := DeviceInfo{
		Name: d.name, Profile: d.profileName(), Connector: d.keptConnector, Online: d.online(),
		Messages: d.messages.Load(), Points: d.points.Load(), RPCs: d.calls.Load(), AttributeUpdates: d.updates.Load(),
	}
	if r := d.owner.Load(); r != nil {
		info.Connector = r.name
	}
	if ms := d.heard.Load(); ms != 0 {
		info.LastData = time.UnixMilli(ms)
	}
	return info
}

// all returns the devices in no order.
func (ds *devices) all() []*device {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	all := make([]*device, 0, len(ds.byName))
	for _, d := range ds.byName {
		all = append(all, d)
	}
	return all
}

// find returns the named device, or nil.
func (ds *devices) find(name string) *device {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	return ds.byName[name]
}

// touch notes that r speaks for d. It allocates for a new device only.
func (ds *devices) touch(d telemetry.Device, r *running) *device {
	dev := ds.find(d.Name)
	if dev == nil {
		dev = ds.add(d.Name)
	}
	fresh := false
	if dev.owner.Load() != r {
		dev.owner.Store(r)
		fresh = true
	}
	if dev.unheard.Load() {
		dev.unheard.Store(false)
	}
	if p := dev.profile.Load(); d.Profile != "" && (p == nil || *p != d.Profile) {
		profile := strings.Clone(d.Profile)
		dev.profile.Store(&profile)
		fresh = true
	}
	if fresh {
		ds.change()
	}
	return dev
}

func (ds *devices) change() {
	if ds.changed != nil {
		ds.changed()
	}
}

func (ds *devices) add(name string) *device {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if dev := ds.byName[name]; dev != nil {
		return dev
	}
	dev := &device{name: strings.Clone(name)}
	if len(ds.byName) >= maxDevices {
		return dev
	}
	if ds.byName == nil {
		ds.byName = make(map[string]*device)
	}
	ds.byName[dev.name] = dev
	return dev
}

// set changes the presence of a device.
func (ds *devices) set(d *device, p presence) {
	if presence(d.state.Swap(int32(p))) != p {
		ds.change()
	}
}

// forget drops the named device and returns it, or nil.
func (ds *devices) forget(name string) *device {
	ds.mu.Lock()
	dev := ds.byName[name]
	delete(ds.byName, name)
	ds.mu.Unlock()
	if dev != nil {
		ds.change()
	}
	return dev
}

// remove forgets the devices of r and returns their names.
func (ds *devices) remove(r *running) []string {
	return ds.drop(func(d *device) bool { return d.owner.Load() == r })
}

// retire forgets the devices of r that it does not speak for, and returns their
// names.
func (ds *devices) retire(r *running) []string {
	return ds.drop(func(d *device) bool { return d.owner.Load() == r && d.unheard.Load() })
}

func (ds *devices) drop(which func(*device) bool) []string {
	ds.mu.Lock()
	var names []string
	for name, dev := range ds.byName {
		if which(dev) {
			names = append(names, name)
			delete(ds.byName, name)
		}
	}
	ds.mu.Unlock()
	if len(names) > 0 {
		ds.change()
	}
	slices.Sort(names)
	return names
}

// inherit makes the devices of one connector those of another, which did not
// speak for them yet, and returns their names.
func (ds *devices) inherit(from, to *running) map[string]bool {
	known := make(map[string]bool)
	for _, d := range ds.all() {
		if d.owner.Load() == from {
			d.unheard.Store(true)
			d.owner.Store(to)
			known[d.name] = true
		}
	}
	return known
}

// giveBack is the opposite of inherit. The devices that were not known before
// are to be retired unless the connector speaks for them.
func (ds *devices) giveBack(from, to *running, known map[string]bool) {
	for _, d := range ds.all() {
		if d.owner.Load() == from {
			d.unheard.Store(!known[d.name])
			d.owner.Store(to)
		}
	}
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
