package modbus

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A target is a device that is polled and commanded.
type target struct {
	device  telemetry.Device
	bus     *bus
	unit    uint8
	timeout time.Duration
	retries int
	again   retry
	order   Order // of values that only a call describes
	quirks  bool
	groups  []*group
	rpc     map[string]*command
	updates map[string]*command

	healthy bool // its last request was answered
	online  bool // the platform was told so
}

// A network is a checked Config, ready to run.
type network struct {
	buses   []*bus
	server  *server // nil: there is none
	targets []*target
	byName  map[string][]*target
}

// compile checks cfg. The error names everything that is wrong with it.
func compile(cfg Config) (*network, error) {
	cfg = cfg.withDefaults()
	c := &compiler{cfg: cfg, buses: make(map[string]*bus), urls: make(map[string]endpoint)}
	c.net.byName = make(map[string][]*target)
	for i, d := range cfg.Devices {
		if err := c.device(d.withDefaults(cfg)); err != nil {
			name := d.Name
			if name == "" {
				name = fmt.Sprint("number ", i)
			}
			for _, e := range split(err) {
				c.errs = append(c.errs, fmt.Errorf("device %s: %w", name, e))
			}
		}
	}
	if cfg.Server != nil {
		c.errs = append(c.errs, c.server(*cfg.Server))
	}
	first := 0
	for _, b := range c.net.buses {
		c.errs = append(c.errs, b.schedule(first))
		first += len(b.targets)
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return &c.net, nil
}

type compiler struct {
	cfg   Config
	net   network
	buses map[string]*bus
	urls  map[string]endpoint
	errs  []error
}

// split returns the errors that errors.Join joined, also within each other.
func split(err error) (list []error) {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range j.Unwrap() {
		list = append(list, split(e)...)
	}
	return list
}

func (c *compiler) device(d Device) error {
	if err := d.validate(); err != nil {
		return err
	}
	b, busErr := c.bus(d)
	return c.target(d, b, busErr)
}

// target makes d a target of b.
func (c *compiler) target(d Device, b *bus, busErr error) error {
	t := &target{
		device: telemetry.Device{Name: d.Name, Profile: d.Profile}, bus: b, unit: d.Unit,
		timeout: d.Timeout, retries: max(d.Retries, 0), again: retry{empty: !d.SkipEmpty, invalid: !d.SkipInvalid},
		order: d.Order, quirks: d.Quirks,
		rpc: make(map[string]*command), updates: make(map[string]*command),
	}
	items, err := t.compileRegisters(d)
	if err := errors.Join(busErr, err, t.compileCommands(d)); err != nil {
		return err
	}
	for _, it := range items {
		g := t.group(it.interval, d.limits())
		g.items = append(g.items, it)
	}
	b.delay = max(b.delay, d.Delay)
	if b.reconnect == (Reconnect{}) {
		b.reconnect = d.Reconnect
	}
	b.targets = append(b.targets, t)
	c.net.targets = append(c.net.targets, t)
	c.net.byName[d.Name] = append(c.net.byName[d.Name], t)
	return nil
}

// bus finds or makes the bus of d.
func (c *compiler) bus(d Device) (*bus, error) {
	e, err := parseURL(d.URL)
	if err != nil {
		return nil, err
	}
	if e.medium == mediumSerial && (d.Unit > 247 || d.Unit == 0 && len(d.Registers) > 0) {
		return nil, fmt.Errorf("unit: %d is not in 1 to 247, where registers are read", d.Unit)
	}
	if b, ok := c.buses[e.key()]; ok {
		if c.urls[e.key()] != e {
			return nil, fmt.Errorf("url %q: the same line is set up differently by another device (%s)", d.URL, b.name)
		}
		return b, nil
	}
	b := &bus{
		name: d.URL, network: e.medium != mediumSerial, open: c.cfg.Open,
		connectTimeout: c.cfg.ConnectTimeout, out: make([]byte, 0, maxPDU),
	}
	c.buses[e.key()], c.urls[e.key()] = b, e
	c.net.buses = append(c.net.buses, b)
	return b, nil
}

func (d Device) limits() limits {
	return limits{gap: d.MaxGap, bitGap: d.MaxBitGap, registers: d.MaxRegisters, discreteCount: maxReadBits}
}

func (t *target) compileRegisters(d Device) ([]*item, error) {
	var items []*item
	var errs []error
	byKey := make(map[string]*item)
	for i, r := range d.Registers {
		it, err := newItem(r, d)
		if err == nil && r.Writable {
			err = t.writable(r, it.field)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("register %s: %w", nameOf(r.Key, i), err))
			continue
		}
		if _, taken := t.rpc[r.Key]; !taken {
			t.rpc[r.Key] = &command{field: it.field, read: r.Table.readFunction(), polled: true}
		}
		items, byKey[r.Key] = append(items, it), it
	}
	for i, r := range d.Registers {
		for _, key := range r.Times {
			o := byKey[key]
			if o == nil || !o.typ.numeric() || o.key == r.Key {
				errs = append(errs, fmt.Errorf("register %s: times: %q is not another numeric register of the device", nameOf(r.Key, i), key))
				continue
			}
			if it := byKey[r.Key]; it != nil {
				it.times = append(it.times, o)
			}
		}
	}
	return items, errors.Join(errs...)
}

func nameOf(key string, i int) string {
	if key == "" {
		return fmt.Sprint("number ", i)
	}
	return key
}

func newItem(r Register, d Device) (*item, error) {
	if r.Key == "" {
		return nil, errors.New("key: missing")
	}
	if r.Poll < 0 {
		return nil, fmt.Errorf("poll: %v is negative", r.Poll)
	}
	f, err := newField(r, r.Table)
	if err != nil {
		return nil, err
	}
	if !f.table.bits() && f.count > d.MaxRegisters {
		return nil, fmt.Errorf("count: %d registers do not fit into requests of %d", f.count, d.MaxRegisters)
	}
	it := &item{field: f, key: r.Key, attribute: r.Attribute, interval: r.Poll, report: r.Report}
	if it.interval == 0 {
		it.interval = d.Poll
	}
	if it.report == nil {
		it.report = d.Report
	}
	return it, nil
}

// writable makes r a command in both directions.
func (t *target) writable(r Register, f field) error {
	if len(r.Times) > 0 {
		return errors.New("writable: a register that others multiply cannot be written")
	}
	function, err := f.writeFunction(r.WriteMultiple)
	if err != nil {
		return fmt.Errorf("writable: %w", err)
	}
	c := &command{field: f, read: r.Table.readFunction(), write: function, polled: true}
	t.rpc[r.Key], t.updates[r.Key] = c, c
	return nil
}

func (t *target) compileCommands(d Device) error {
	var errs []error
	add := func(list []Command, what string, m map[string]*command) {
		for i, c := range list {
			cmd, err := newCommand(c)
			if err == nil && what == "attribute" && cmd.write == 0 {
				err = fmt.Errorf("function: %d does not write", c.Function)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", what, nameOf(c.Method, i), err))
				continue
			}
			m[c.Method] = cmd
		}
	}
	add(d.RPC, "rpc", t.rpc)
	add(d.AttributeUpdates, "attribute", t.updates)
	return errors.Join(errs...)
}

// group returns the group of an interval.
func (t *target) group(interval time.Duration, l limits) *group {
	for _, g := range t.groups {
		if g.interval == interval {
			return g
		}
	}
	g := &group{target: t, interval: interval, limits: l}
	t.groups = append(t.groups, g)
	slices.SortFunc(t.groups, func(a, b *group) int { return cmp.Compare(a.interval, b.interval) })
	return g
}

// schedule makes b's lane.
func (b *bus) schedule(first int) (err error) {
	devices := make([]poll.Device, 0, len(b.targets))
	for _, t := range b.targets {
		d := poll.Device{Name: t.device.Name, Probe: t.probe, Changed: t.changed}
		for _, g := range t.groups {
			g.reset()
			d.Jobs = append(d.Jobs, poll.Job{Interval: g.interval, Poll: g.poll})
		}
		devices = append(devices, d)
	}
	b.lane, err = poll.NewLane(poll.Config{
		Open: b.connect, Close: b.disconnect, First: first, Shortest: b.reconnect.First, Longest: b.reconnect.Longest,
	}, devices...)
	return err
}
