package gateway

import (
	"errors"
	"fmt"
	"regexp"
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
		lists := make(map[string]*guests)
		err := errors.Join(
			compile(lists, "allow", f.Allow, func(g *guests, e *regexp.Regexp) { g.allowed = append(g.allowed, e) }),
			compile(lists, "deny", f.Deny, func(g *guests, e *regexp.Regexp) { g.denied = append(g.denied, e) }),
		)
		if err != nil {
			o.errs = append(o.errs, err)
		}
		o.guests = lists
	}
}

func compile(lists map[string]*guests, list string, of map[string][]string, add func(*guests, *regexp.Regexp)) error {
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

// mayHave reports whether r may speak for the named device. What it speaks for
// already it may.
func (r *running) mayHave(name string) bool {
	if r.guests == nil {
		return true
	}
	if dev := r.g.devices.find(name); dev != nil && dev.owner.Load() == r {
		return true
	}
	return r.guests.allow(r, name)
}
