package bacnet

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// maxPoints bounds how many properties are read of a device.
const maxPoints = 100_000

// scans reports whether what is read depends on the objects that the device has, or
// on their names.
func (e *entry) scans() bool {
	return slices.ContainsFunc(e.items, func(it *item) bool {
		return it.Objects.Instances == nil || len(it.used) > 0 || it.properties == nil
	})
}

// A target is an object that an item is read of.
type target struct {
	item       *item
	object     wire.ObjectID
	properties []wire.Property
}

// scan finds out which properties are to be read, under which keys.
func (d *device) scan(ctx context.Context, t *poll.Turn) error {
	d.partial = false
	targets, err := d.targets(ctx, t)
	if err != nil {
		return err
	}
	shown, err := d.readShown(ctx, t, targets)
	if err != nil {
		return err
	}
	old := make(map[wire.Reference]*point, len(d.points))
	for _, p := range d.points {
		old[p.ref] = p
	}
	b := builder{old: old, byRef: make(map[wire.Reference]*point), order: make(map[wire.ObjectID]int)}
	for _, tg := range targets {
		if len(b.points)+len(tg.properties) > maxPoints {
			d.log.Warn("there is too much to read, the rest is left out", slog.Int("limit", maxPoints))
			break
		}
		key, ok := tg.key(shown)
		if !ok {
			d.partial = true
			continue
		}
		b.add(tg, key, d.entry)
	}
	slices.SortStableFunc(b.points, func(x, y *point) int { return b.order[x.ref.Object] - b.order[y.ref.Object] })
	d.mu.Lock()
	d.points = b.points
	d.resubscribe()
	d.mu.Unlock()
	d.scanAt = time.Now().Add(d.s.c.cfg.Rescan)
	if d.entry.scans() {
		d.revision, err = d.readRevision(ctx)
	}
	return err
}

// A builder collects points. It keeps those that were there before, with what is
// known of them.
type builder struct {
	old, byRef map[wire.Reference]*point
	order      map[wire.ObjectID]int
	points     []*point
}

func (b *builder) add(tg target, key string, e *entry) {
	for _, property := range tg.properties {
		ref := wire.Reference{Object: tg.object, Property: property, Index: tg.item.index}
		p := b.byRef[ref]
		if p == nil {
			if p = b.old[ref]; p == nil {
				p = &point{ref: ref}
			}
			p.readings = nil
			b.byRef[ref] = p
			b.points = append(b.points, p)
			if _, ok := b.order[ref.Object]; !ok {
				b.order[ref.Object] = len(b.order)
			}
		}
		r := reading{key: key, attribute: tg.item.Attribute, decimals: tg.item.Decimals, report: tg.item.Report}
		if r.report == nil {
			r.report = e.Report
		}
		if len(tg.properties) > 1 {
			r.key += "." + property.String()
		}
		p.readings = append(p.readings, r)
	}
}

// targets returns the objects of all items.
func (d *device) targets(ctx context.Context, t *poll.Turn) ([]target, error) {
	var list []target
	var objects []wire.ObjectID
	for _, it := range d.entry.items {
		if it.Objects.Instances == nil && objects == nil && !it.onlyDevice() {
			var err error
			if objects, err = d.readObjects(ctx, t); err != nil {
				return nil, err
			}
		}
		for _, o := range d.choose(it, objects) {
			tg := target{item: it, object: o, properties: it.properties}
			if it.properties == nil {
				var err error
				if tg.properties, err = d.readProperties(ctx, o); err != nil {
					return nil, err
				}
			}
			list = append(list, tg)
			if len(list) > maxPoints {
				return list, nil
			}
		}
		if t.Yield(ctx) != nil {
			return nil, ctx.Err()
		}
	}
	return list, nil
}

func (it *item) onlyDevice() bool {
	return len(it.Objects.Types) == 1 && it.Objects.Types[0] == wire.DeviceObject
}

// choose returns the objects that an item means.
func (d *device) choose(it *item, objects []wire.ObjectID) (list []wire.ObjectID) {
	own := wire.NewObjectID(wire.DeviceObject, d.instance)
	if it.onlyDevice() {
		return []wire.ObjectID{own}
	}
	if it.Objects.Instances == nil {
		for _, o := range objects {
			if len(it.Objects.Types) == 0 && o != own && hasValue(o.Type()) || slices.Contains(it.Objects.Types, o.Type()) {
				list = append(list, o)
			}
		}
		return list
	}
	for _, t := range it.Objects.Types {
		for _, r := range it.Objects.Instances {
			for n := r.First; ; n++ {
				list = append(list, wire.NewObjectID(t, n))
				if n == r.Last {
					break
				}
			}
		}
	}
	return list
}

// hasValue reports whether objects of the type have a present value, as far as the
// standard says.
func hasValue(t wire.ObjectType) bool {
	switch t {
	case 8, 9, 10, 15, 16, 18, 20, 25, 26, 27, 29, 31, 33, 34, 35, 36, 38, 51, 52, 53, 56, 57, 58, 59, 61, 62:
		return t == 26 || t == 31 || t == 53 // global group, timer, channel
	default:
		return true
	}
}

// key returns the key of a target's readings. It reports false if a property that
// the key needs is not known.
func (tg *target) key(shown map[wire.Reference]string) (string, bool) {
	if tg.item.key.Constant() {
		return tg.item.Key, true
	}
	complete := true
	key, _ := tg.item.key.Expand(func(name string, _ bool) (string, error) {
		switch name {
		case "objectType":
			return tg.object.Type().String(), nil
		case "objectId":
			return strconv.FormatUint(uint64(tg.object.Instance()), 10), nil
		}
		property, _ := wire.ParseProperty(name) // was checked
		s, ok := shown[wire.Reference{Object: tg.object, Property: property, Index: wire.WholeArray}]
		complete = complete && ok && s != ""
		return s, nil
	})
	return key, complete && key != ""
}

// readShown reads the properties that keys need.
func (d *device) readShown(ctx context.Context, t *poll.Turn, targets []target) (map[wire.Reference]string, error) {
	shown := make(map[wire.Reference]string)
	var points []*point
	for _, tg := range targets {
		for _, property := range tg.item.used {
			ref := wire.Reference{Object: tg.object, Property: property, Index: wire.WholeArray}
			if _, ok := shown[ref]; !ok {
				shown[ref] = ""
				points = append(points, &point{ref: ref})
			}
		}
	}
	failed := 0
	err := d.readAll(ctx, t, points, func(p *point, raw []byte, err error) {
		if v, ok := d.convert(p.ref, raw, 0); err == nil && ok {
			shown[p.ref] = v.String()
			return
		}
		failed++
	})
	if failed > 0 {
		d.log.Warn("properties that keys need cannot be read, these readings are left out", slog.Int("properties", failed))
	}
	return shown, err
}

// readObjects reads the list of objects: in one request if that works, or else
// element by element.
func (d *device) readObjects(ctx context.Context, t *poll.Turn) ([]wire.ObjectID, error) {
	ref := wire.Reference{Object: wire.NewObjectID(wire.DeviceObject, d.instance), Property: wire.ObjectList, Index: wire.WholeArray}
	raw, err := d.peer.read(ctx, ref, d.retries())
	if err == nil {
		objects := make([]wire.ObjectID, 0, len(raw)/5)
		dec := wire.NewDecoder(raw)
		for dec.More() {
			objects = append(objects, dec.ApplicationOf(wire.ObjectIDKind).ObjectID())
		}
		if dec.Err() == nil {
			return objects, nil
		}
	} else if !answered(err) && (!errors.Is(err, ErrTimeout) || d.probe(ctx) != nil) {
		return nil, err // the device is at fault, and not the length of its answer
	}
	ref.Index = 0
	count, err := d.readUnsigned(ctx, ref)
	if err != nil {
		d.log.Warn("the list of objects cannot be read", slog.Any("error", err))
		d.partial = true
		return []wire.ObjectID{}, ignoreAnswer(err)
	}
	points := make([]*point, min(count, maxPoints))
	for i := range points {
		ref.Index = uint32(i + 1)
		points[i] = &point{ref: ref, size: 5}
	}
	objects := make([]wire.ObjectID, 0, len(points))
	err = d.readAll(ctx, t, points, func(_ *point, raw []byte, err error) {
		dec := wire.NewDecoder(raw)
		o := dec.ApplicationOf(wire.ObjectIDKind)
		if err != nil || dec.Err() != nil {
			d.partial = true
			return
		}
		objects = append(objects, o.ObjectID())
	})
	if d.partial {
		d.log.Warn("a part of the list of objects cannot be read, it is tried again", slog.Int("objects", len(objects)), slog.Uint64("of", count))
	}
	return objects, err
}

// ignoreAnswer returns err unless it is an answer.
func ignoreAnswer(err error) error {
	if answered(err) {
		return nil
	}
	return err
}

func (d *device) readUnsigned(ctx context.Context, ref wire.Reference) (uint64, error) {
	raw, err := d.peer.read(ctx, ref, d.retries())
	if err != nil {
		return 0, err
	}
	dec := wire.NewDecoder(raw)
	n := dec.ApplicationOf(wire.Unsigned).Bits
	return n, dec.Err()
}

// readProperties reads which properties an object has.
func (d *device) readProperties(ctx context.Context, o wire.ObjectID) ([]wire.Property, error) {
	found := map[wire.Property]bool{wire.ObjectName: true}
	raw, err := d.peer.read(ctx, wire.Reference{Object: o, Property: wire.PropertyList, Index: wire.WholeArray}, d.retries())
	if err == nil {
		dec := wire.NewDecoder(raw)
		for dec.More() {
			found[wire.Property(dec.ApplicationOf(wire.Enumerated).Bits)] = true
		}
		if err = dec.Err(); err == nil {
			return slices.Sorted(maps.Keys(found)), nil
		}
	}
	if !answered(err) {
		return nil, err
	}
	// Devices of older revisions have no such property.
	all := []wire.Reference{{Object: o, Property: wire.AllProperties, Index: wire.WholeArray}}
	err = d.peer.readMultiple(ctx, all, d.retries(), func(r wire.ReadResult) bool {
		if r.Err == nil {
			found[r.Property] = true
		}
		return true
	})
	if err != nil {
		d.log.Warn("the properties of an object cannot be read", slog.String("object", o.String()), slog.Any("error", err))
		d.partial = true
		err = ignoreAnswer(err)
	}
	return slices.Sorted(maps.Keys(found)), err
}

// readRevision reads a number that changes with the device's objects and names.
func (d *device) readRevision(ctx context.Context) (uint64, error) {
	ref := wire.Reference{Object: wire.NewObjectID(wire.DeviceObject, d.instance), Property: wire.DatabaseRevision, Index: wire.WholeArray}
	n, err := d.readUnsigned(ctx, ref)
	if err == nil || !answered(err) {
		return n, err
	}
	ref.Property, ref.Index = wire.ObjectList, 0
	n, err = d.readUnsigned(ctx, ref)
	if err != nil {
		return 0, ignoreAnswer(err)
	}
	return n, nil
}

// rescan scans the device again if its objects have changed since.
func (d *device) rescan(ctx context.Context, t *poll.Turn) error {
	if !d.entry.scans() || time.Now().Before(d.scanAt) {
		return nil
	}
	d.scanAt = time.Now().Add(d.s.c.cfg.Rescan)
	n, err := d.readRevision(ctx)
	if err != nil || n == d.revision && !d.partial {
		return err
	}
	before := len(d.points)
	if err := d.scan(ctx, t); err != nil {
		return err
	}
	if len(d.points) != before {
		d.log.Info("the device's objects have changed", slog.Int("readings", len(d.points)), slog.Int("before", before))
	}
	return nil
}
