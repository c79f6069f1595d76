package gateway

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A DeviceFilter says of which devices connectors may submit data. The keys are
// names of connectors, and the values regular expressions that match whole names
// of devices. If a connector has expressions in Allow, only devices that one of
// them matches pass; a device that one in Deny matches does not. Connectors
// without expressions are not restricted.
//
// It is the content of the reference gateway's list.json.
type DeviceFilter struct {
	Allow map[string][]string `json:"allow"`
	Deny  map[string][]string `json:"deny"`
}

// WithDeviceFilter drops the data of devices that the filter does not let pass,
// and does not announce them. The points are counted as Denied in
// [ConnectorStats], and the device is logged once.
func WithDeviceFilter(f DeviceFilter) Option {
	return func(o *options) {
		lists, err := f.compile()
		if err != nil {
			o.errs = append(o.errs, err)
		}
		o.doors = &lists
	}
}

// SetDeviceFilter puts f in the place of what [WithDeviceFilter] or an earlier
// call has set. Devices that do not pass any more are announced as gone and
// forgotten, with what report policies hold back of them; what is stored already
// is still published. Devices of the file of devices that pass now are announced.
// After an error, which is one in an expression, nothing has changed. The zero
// DeviceFilter lets all devices pass.
func (g *Gateway) SetDeviceFilter(f DeviceFilter) error {
	lists, err := f.compile()
	if err != nil {
		return err
	}
	g.doors.Store(&lists)
	g.mu.Lock()
	rs := slices.Collect(maps.Values(g.connectors))
	g.mu.Unlock()
	for _, d := range g.devices.all() {
		if r := d.owner.Load(); r != nil && !r.mayHave(d.name) {
			g.turnOut(r, d.name)
		}
	}
	for _, r := range rs {
		r.host.tryLook()
		g.devices.adopt(r)
		if state, _ := r.condition(); state == Running {
			g.restore(r)
		}
	}
	return nil
}

// turnOut forgets a device that r may not speak for, and announces it as gone.
func (g *Gateway) turnOut(r *running, name string) {
	g.devices.forget(name)
	if err := g.north.Load().DeviceOffline(g.stopping, name); err != nil {
		r.log.Warn("device not announced as gone", "device", name, "error", err)
	}
}

// doors are the devices that connectors may speak for, by connector. A nil doors
// lets all pass.
type doors map[string]*guests

func (d *doors) of(connector string) *guests {
	if d == nil {
		return nil
	}
	return (*d)[connector]
}

func (f *DeviceFilter) compile() (doors, error) {
	lists := make(doors)
	return lists, errors.Join(
		compile(lists, "allow", f.Allow, func(g *guests, e *regexp.Regexp) { g.allowed = append(g.allowed, e) }),
		compile(lists, "deny", f.Deny, func(g *guests, e *regexp.Regexp) { g.denied = append(g.denied, e) }),
	)
}

func compile(lists doors, list string, of map[string][]string, add func(*guests, *regexp.Regexp)) error {
	var errs []error
	for name, expressions := range of {
		if len(expressions) == 0 {
			continue
		}
		if lists[name] == nil {
			lists[name] = new(guests)
		}
		for _, text := range expressions {
			e, err := regexp.Compile(`\A(?:` + text + `)\z`)
			if err != nil {
				errs = append(errs, fmt.Errorf("gateway: device filter: %s: connector %q: %w", list, name, err))
				continue
			}
			add(lists[name], e)
		}
	}
	return errors.Join(errs...)
}

// maxRefused bounds the devices that are remembered as refused. Further ones are
// matched again each time, and not logged.
const maxRefused = 10_000

// guests are the devices that a connector may speak for. A nil guests lets all
// pass.
type guests struct {
	allowed, denied []*regexp.Regexp

	mu      sync.Mutex
	refused map[string]struct{}
}

// allow reports whether r may speak for the named device.
func (g *guests) allow(r *running, name string) bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, refused := g.refused[name]; refused {
		return false
	}
	if g.matches(name) {
		return true
	}
	if len(g.refused) < maxRefused {
		if g.refused == nil {
			g.refused = make(map[string]struct{})
		}
		g.refused[strings.Clone(name)] = struct{}{}
		r.log.Warn("device does not pass the device filter, its data is dropped", "device", name)
	}
	return false
}

func (g *guests) matches(name string) bool {
	for _, e := range g.denied {
		if e.MatchString(name) {
			return false
		}
	}
	for _, e := range g.allowed {
		if e.MatchString(name) {
			return true
		}
	}
	return len(g.allowed) == 0
}

// admit is allow, which it asks once for a device that is known.
func (g *guests) admit(r *running, name string) bool {
	if g == nil {
		return true
	}
	dev := r.g.devices.find(name)
	if dev != nil && dev.passed.Load() == g {
		return true
	}
	if !g.allow(r, name) {
		return false
	}
	if dev != nil {
		dev.passed.Store(g)
	}
	return true
}

// mayHave reports whether r may speak for the named device.
func (r *running) mayHave(name string) bool {
	return r.g.doors.Load().of(r.name).admit(r, name)
}
