package snmp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
)

// A network is a compiled [Config].
type network struct {
	targets []*target
	byName  map[string][]*target
	traps   *trapServer
}

// compile turns a configuration into what runs. The error names everything that is
// wrong with it.
func compile(c Config) (*network, error) {
	net := &network{byName: make(map[string][]*target)}
	var errs []error
	for name, oid := range c.Names {
		if _, err := parseOID(oid); err != nil {
			errs = append(errs, fmt.Errorf("name %q: %w", name, err))
		}
	}
	for i, d := range c.Devices {
		t, err := newTarget(d.withDefaults(c), c, i)
		if err != nil {
			errs = append(errs, prefixed(fmt.Sprintf("device %q: ", d.Name), err)...)
			continue
		}
		net.targets = append(net.targets, t)
		net.byName[d.Name] = append(net.byName[d.Name], t)
	}
	if c.Traps != nil {
		var err error
		if net.traps, err = newTrapServer(*c.Traps, c); err != nil {
			errs = append(errs, prefixed("traps: ", err)...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return net, nil
}

// prefixed returns the single errors in err with text before each.
func prefixed(text string, err error) (list []error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, prefixed(text, e)...)
		}
		return list
	}
	return []error{fmt.Errorf("%s%w", text, err)}
}

func newTarget(d Device, c Config, index int) (*target, error) {
	t := &target{
		device: d, client: client{device: d}, names: c.Names, quirks: c.Compatible,
		limit: d.MaxOIDs, mostRepetitions: maxRepetitions,
	}
	errs := []error{d.validate()}
	for _, o := range d.Objects {
		if err := t.addObject(o); err != nil {
			errs = append(errs, prefixed(fmt.Sprintf("key %q: ", o.Key), err)...)
		}
	}
	add := func(what string, list []Command) (out []*command) {
		for _, cmd := range list {
			compiled, err := newCommand(d, c.Names, cmd)
			if err != nil {
				errs = append(errs, prefixed(fmt.Sprintf("%s %q: ", what, cmd.Name), err)...)
				continue
			}
			out = append(out, compiled)
		}
		return out
	}
	t.rpc, t.updates = add("rpc", d.RPC), add("attribute update", d.AttributeUpdates)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, t.schedule(index)
}

// schedule makes t's lane. Device number index starts spread among the others.
func (t *target) schedule(index int) error {
	dev := poll.Device{Name: t.device.Name, Changed: t.changed}
	for _, g := range t.groups {
		dev.Jobs = append(dev.Jobs, poll.Job{Interval: g.interval, Poll: g.poll})
	}
	if len(t.groups) > 0 {
		dev.Probe = t.probe
	}
	lane, err := poll.NewLane(poll.Config{First: index}, dev)
	t.lane = lane
	return err
}

func (t *target) addObject(o Object) error {
	d := t.device
	compiled, err := newOp(d, t.names, o.Method, o.OIDs, o.Scalars, o.Repetitions, o.Encoding, o.Scale)
	errs := []error{err}
	if o.Key == "" {
		errs = append(errs, errors.New("key: missing"))
	}
	if o.Method.valid() && o.Method.writes() {
		errs = append(errs, fmt.Errorf("method: %v cannot be polled", o.Method))
	}
	if o.Poll < 0 {
		errs = append(errs, fmt.Errorf("poll: %v is negative", o.Poll))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	it := &item{op: compiled, key: o.Key, attribute: o.Attribute, report: o.Report}
	if it.report == nil {
		it.report = d.Report
	}
	interval := o.Poll
	if interval == 0 {
		interval = d.Poll
	}
	t.group(interval).add(it)
	return nil
}

// group returns the group of an interval.
func (t *target) group(interval time.Duration) *group {
	for _, g := range t.groups {
		if g.interval == interval {
			return g
		}
	}
	g := &group{target: t, interval: interval}
	t.groups = append(t.groups, g)
	return g
}

func newCommand(d Device, names Names, c Command) (*command, error) {
	out := &command{Command: c}
	var errs []error
	var err error
	if c.Name == "" {
		errs = append(errs, errors.New("name: missing"))
	}
	if out.name, err = regexp.Compile("^(?:" + c.Name + ")$"); err != nil {
		errs = append(errs, fmt.Errorf("name: %w", err))
	}
	if !c.Method.writes() {
		out.op, err = newOp(d, names, c.Method, c.OIDs, c.Scalars, c.Repetitions, c.Encoding, c.Scale)
		return out, errors.Join(append(errs, err)...)
	}
	list := c.Writes
	if len(list) == 0 && len(c.OIDs) == 1 {
		list = []Write{{OID: c.OIDs[0], Syntax: c.Syntax}}
	}
	if len(list) == 0 || len(list) > DefaultMaxOIDs {
		errs = append(errs, fmt.Errorf("oid: %d to write, rather than 1 to %d", len(list), DefaultMaxOIDs))
	}
	for _, w := range list {
		oid, err := names.resolve(w.OID)
		if err != nil {
			errs = append(errs, fmt.Errorf("oid: %w", err))
		}
		if w.Syntax > IPAddress {
			errs = append(errs, fmt.Errorf("type: %d is not known", w.Syntax))
		}
		out.writes = append(out.writes, write{oid: oid, typ: w.Syntax, value: w.Value})
	}
	if out.op.scale, err = newScale(c.Scale); err != nil {
		errs = append(errs, fmt.Errorf("scale: %w", err))
	}
	return out, errors.Join(errs...)
}

// do runs f on t's lane, bounded by timeout if it is not zero.
func (t *target) do(ctx context.Context, timeout time.Duration, f func(ctx context.Context) error) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return t.lane.Do(ctx, f)
}
