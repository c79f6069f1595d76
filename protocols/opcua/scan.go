package opcua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A device is a node that a mapping means.
type device struct {
	telemetry.Device

	mapping *mapping
	node    *ua.NodeID
	items   []*item
}

// An item is a value of a device, of one key.
type item struct {
	*itemPlan

	device *device
	id     *ua.NodeID
	read   *ua.ReadValueID

	// monitored is the server's identifier of it in the subscription. Zero: it
	// is not monitored, and therefore polled.
	monitored uint32
	handle    uint32 // the client's
	order     int    // among all items, which is that of the configuration

	// status is what the value's quality was if it was bad. It is written by the
	// one goroutine that converts the item's values.
	status atomic.Uint32
}

func newItem(d *device, p *itemPlan, id *ua.NodeID) *item {
	return &item{itemPlan: p, device: d, id: id, read: &ua.ReadValueID{
		NodeID: id, AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{},
	}}
}

// key tells items apart.
func (it *item) key() string {
	return fmt.Sprintf("%s\x00%s\x00%t\x00%s\x00%s", it.device.Name, it.device.Profile, it.attribute, it.Key, it.id)
}

// A found is the result of a search.
type found struct {
	devices []*device
	missing []string // what was not there, for messages
}

// scan looks for the devices of a plan, and for their nodes.
func scan(ctx context.Context, l *link, p *plan) (*found, error) {
	t := newTree(l)
	queries := make([]*query, len(p.mappings))
	for i, m := range p.mappings {
		queries[i] = &query{address: m.node}
	}
	if err := t.resolve(ctx, queries); err != nil {
		return nil, err
	}
	f := &found{}
	var candidates []*device
	for i, q := range queries {
		if len(q.found) == 0 {
			f.miss("", p.mappings[i].text, q.err)
		}
		for _, n := range q.found {
			candidates = append(candidates, &device{mapping: p.mappings[i], node: n})
		}
	}
	if err := f.name(ctx, t, candidates, p.cfg.Compatible); err != nil {
		return nil, err
	}
	return f, f.fillItems(ctx, t)
}

func (f *found) miss(device, what string, err error) {
	s := what
	if device != "" {
		s = device + ": " + what
	}
	if err != nil {
		s += " (" + err.Error() + ")"
	}
	f.missing = append(f.missing, s)
}

// name finds the names and profiles of the candidates. One whose name refers to a
// node that has no value is left out; compatible keeps the text of the reference.
func (f *found) name(ctx context.Context, t *tree, candidates []*device, compatible bool) error {
	var queries []*query
	for _, d := range candidates {
		for _, a := range slices.Concat(d.mapping.name.nodes, d.mapping.profile.nodes) {
			queries = append(queries, &query{address: a, from: d.node})
		}
	}
	if err := t.resolve(ctx, queries); err != nil {
		return err
	}
	var ids []*ua.NodeID
	for _, q := range queries {
		if len(q.found) > 0 {
			ids = append(ids, q.found[0])
		}
	}
	values, err := t.link.readAll(ctx, ua.AttributeIDValue, ids)
	if err != nil {
		return err
	}
	next := func() (string, bool) {
		q := queries[0]
		queries = queries[1:]
		if len(q.found) == 0 {
			return q.address.text, false
		}
		v := values[0]
		values = values[1:]
		value, ok := valueOf(v.Value, nil, false)
		if !ok || bad(v.Status) || value.String() == "" {
			return q.address.text, false
		}
		return value.String(), true
	}
	for _, d := range candidates {
		var missing []string
		fill := func(t template) string {
			texts := make([]string, len(t.nodes))
			for i := range texts {
				s, ok := next()
				if !ok {
					missing = append(missing, s)
				}
				texts[i] = s
			}
			return t.fill(texts)
		}
		d.Name, d.Profile = fill(d.mapping.name), fill(d.mapping.profile)
		if len(missing) > 0 && !compatible {
			f.miss("", fmt.Sprintf("name of %s: %s", d.node, strings.Join(missing, ", ")), errors.New("has no value"))
			continue
		}
		f.devices = append(f.devices, d)
	}
	return nil
}

// fillItems finds the nodes of the devices' items.
func (f *found) fillItems(ctx context.Context, t *tree) error {
	var queries []*query
	for _, d := range f.devices {
		for _, p := range d.mapping.items {
			if !p.constant {
				queries = append(queries, &query{address: p.node, from: d.node})
			}
		}
	}
	if err := t.resolve(ctx, queries); err != nil {
		return err
	}
	for _, d := range f.devices {
		for _, p := range d.mapping.items {
			if p.constant {
				continue
			}
			q := queries[0]
			queries = queries[1:]
			if len(q.found) == 0 {
				f.miss(d.Name, p.Key+" "+p.Node, q.err)
				continue
			}
			d.items = append(d.items, newItem(d, p, q.found[0]))
		}
	}
	return nil
}

// log names what was found, in detail if show is set.
func (f *found) log(log *slog.Logger, show bool) {
	items := 0
	for _, d := range f.devices {
		items += len(d.items)
		if !show {
			continue
		}
		for _, it := range d.items {
			log.Info("node", slog.String("device", d.Name), slog.String("key", it.Key), slog.String("node", it.id.String()))
		}
	}
	log.Debug("nodes were looked for", slog.Int("devices", len(f.devices)), slog.Int("values", items))
}
