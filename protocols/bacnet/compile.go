package bacnet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/converter/expr"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// An entry is a compiled [Device].
type entry struct {
	Device
	name, profile *expr.Template
	pattern       Pattern
	anywhere      bool // there is no pattern
	alternatives  []wire.Address
	items         []*item
	rpc           map[string][]*command
	updates       map[string][]*command

	// The variables that the name and the profile need.
	needsName, needsRouter bool
}

// An item is a compiled [Item].
type item struct {
	Item
	key        *expr.Template
	properties []wire.Property // that are reported; nil: all
	used       []wire.Property // that the key needs
	index      uint32
}

// compile checks c and prepares its devices. The error names all that is wrong.
func compile(c Config) ([]*entry, error) {
	c = c.withDefaults()
	var errs []error
	if err := c.Local.validate(); err != nil {
		errs = append(errs, err)
	}
	if _, err := c.Foreign.bbmd(); err != nil {
		errs = append(errs, err)
	}
	var entries []*entry
	for i, d := range c.Devices {
		e, err := newEntry(d, c)
		if err != nil {
			errs = append(errs, fmt.Errorf("devices[%d]: %w", i, err))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

func newEntry(d Device, c Config) (*entry, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	setDefault(&d.Poll, DefaultPoll)
	setDefault(&d.Timeout, c.Timeout)
	setDefault(&d.COV.Lifetime, DefaultLifetime)
	setDefault(&d.COV.Resync, DefaultResync)
	d.COV.Lifetime = max(d.COV.Lifetime.Truncate(time.Second), time.Second)
	if d.Retries == 0 {
		d.Retries = c.Retries
	}
	e := &entry{Device: d, rpc: make(map[string][]*command), updates: make(map[string][]*command)}
	var err error
	if e.anywhere = d.Address == ""; !e.anywhere {
		if e.pattern, err = ParsePattern(d.Address); err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
	}
	for _, s := range d.Alternatives {
		a, err := wire.ParseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("alternatives: %w", err)
		}
		e.alternatives = append(e.alternatives, a)
	}
	if err := e.compileTexts(); err != nil {
		return nil, err
	}
	return e, e.compileItems()
}

func (e *entry) compileTexts() error {
	e.name, e.profile = expr.Compile(e.Name), expr.Compile(e.Profile)
	known := []string{"objectName", "objectId", "vendorId", "address", "routerName", "routerId", "routerAddress", "routerVendorId"}
	for i, t := range []*expr.Template{e.name, e.profile} {
		if i == 0 && e.literalName || i == 1 && e.literalProfile {
			continue
		}
		for _, p := range t.Paths() {
			if !slices.Contains(known, p.String()) {
				return fmt.Errorf("name: ${%s} is not one of %s", p, strings.Join(known, ", "))
			}
			e.needsName = e.needsName || p.String() == "objectName"
			e.needsRouter = e.needsRouter || strings.HasPrefix(p.String(), "router")
		}
	}
	return nil
}

func (e *entry) compileItems() error {
	var errs []error
	for i, it := range e.Items {
		c, err := newItem(it)
		if err != nil {
			errs = append(errs, fmt.Errorf("items[%d] (%s): %w", i, it.Key, err))
			continue
		}
		e.items = append(e.items, c)
	}
	for name, list := range map[string][]Command{"rpc": e.RPC, "attributeUpdates": e.AttributeUpdates} {
		into := e.rpc
		if name != "rpc" {
			into = e.updates
		}
		for i, c := range list {
			cmd, err := newCommand(c)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s[%d] (%s): %w", name, i, c.Method, err))
				continue
			}
			into[c.Method] = append(into[c.Method], cmd)
		}
	}
	return errors.Join(errs...)
}

func newItem(it Item) (*item, error) {
	if it.Key == "" {
		return nil, errors.New("key: missing")
	}
	if len(it.Objects.Types) == 0 && len(it.Objects.Instances) > 0 {
		return nil, errors.New("objects: instances without types")
	}
	count := uint64(0)
	for _, r := range it.Objects.Instances {
		if r.First > r.Last || r.Last > wire.AnyInstance {
			return nil, fmt.Errorf("objects: %d-%d is not a range from 0 to %d", r.First, r.Last, wire.AnyInstance)
		}
		count += uint64(r.Last-r.First) + 1
	}
	if count*uint64(len(it.Objects.Types)) > maxPoints {
		return nil, fmt.Errorf("objects: %d are more than %d", count, maxPoints)
	}
	c := &item{Item: it, key: expr.Compile(it.Key), properties: it.Properties}
	var err error
	if c.index, err = element(it.Element); err != nil {
		return nil, err
	}
	if len(c.properties) == 0 {
		c.properties = []wire.Property{wire.PresentValue}
	}
	for _, p := range c.key.Paths() {
		name := p.String()
		if name == "objectType" || name == "objectId" {
			continue
		}
		property, err := wire.ParseProperty(name)
		if err != nil {
			return nil, fmt.Errorf("key: ${%s} is not a property", name)
		}
		c.used = append(c.used, property)
	}
	if slices.Contains(c.properties, wire.AllProperties) {
		c.properties = nil
	}
	// A property that the key shows is not reported besides, unless nothing is left.
	if left := slices.DeleteFunc(slices.Clone(c.properties), func(p wire.Property) bool { return slices.Contains(c.used, p) }); len(left) > 0 {
		c.properties = left
	}
	return c, nil
}

// wants reports whether e means the device that says i from an address.
func (e *entry) wants(from wire.Address, i wire.IAm) bool {
	if len(e.Instances) > 0 && !inRanges(e.Instances, i.Device.Instance()) {
		return false
	}
	return e.anywhere || e.pattern.Match(from) || slices.Contains(e.alternatives, from)
}

// only returns the one device that e means, if that is certain.
func (e *entry) only() bool { return !e.anywhere && e.pattern.fixed }

// limits returns the range of the instances of e.
func (e *entry) limits() (low, high uint32) {
	if len(e.Instances) == 0 {
		return 0, wire.AnyInstance
	}
	low = wire.AnyInstance
	for _, r := range e.Instances {
		low, high = min(low, r.First), max(high, r.Last)
	}
	return low, high
}

func inRanges(rs []Range, n uint32) bool {
	return slices.ContainsFunc(rs, func(r Range) bool { return r.First <= n && n <= r.Last })
}
