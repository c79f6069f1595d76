package bacnettest

import (
	"slices"
	"sync"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A Device is a simulated device. Its exported fields are set before it is used; its
// methods may be called concurrently.
type Device struct {
	Instance     uint32
	Vendor       uint16
	MaxAPDU      int
	Segmentation wire.Segmentation
	Window       uint8 // segments that are sent until they are acknowledged

	NoMultiple  bool // ReadPropertyMultiple is rejected
	NoCOV       bool // SubscribeCOV is rejected
	NoPartial   bool // one property that fails fails a ReadPropertyMultiple
	MostResults int  // a ReadPropertyMultiple with more is aborted; zero: no limit

	// Drop, if not nil, is asked before each segment is sent whether it gets lost.
	Drop func(sequence uint8, attempt int) bool

	mu         sync.Mutex
	objects    map[wire.ObjectID]map[wire.Property][]wire.Value
	failures   map[wire.Reference]wire.Error
	order      []wire.ObjectID
	priorities map[wire.ObjectID]*[16]*wire.Value
	raw        map[wire.Reference][]byte
	silent     bool
	requests   []Request
	writes     []wire.Write
	subs       map[subscriber]*subscription
	answers    map[transfer]*segments
	pending    map[uint8]*pending // notifications that are to be confirmed
	queue      []queued
	acked      []queued
	nextID     uint8
	aborted    int
}

// A Request is a request that a device got.
type Request struct {
	Service    uint8
	References []wire.Reference // of those that read
}

// NewDevice returns a device with a device object.
func NewDevice(instance uint32, name string) *Device {
	d := &Device{
		Instance: instance, Vendor: 15, MaxAPDU: 1476, Segmentation: wire.NoSegmentation, Window: 4,
		objects: make(map[wire.ObjectID]map[wire.Property][]wire.Value), failures: make(map[wire.Reference]wire.Error),
		priorities: make(map[wire.ObjectID]*[16]*wire.Value), raw: make(map[wire.Reference][]byte),
		subs: make(map[subscriber]*subscription), answers: make(map[transfer]*segments), pending: make(map[uint8]*pending),
	}
	id := wire.NewObjectID(wire.DeviceObject, instance)
	d.Set(id, wire.ObjectName, wire.TextValue(name))
	d.Set(id, wire.SystemStatus, wire.EnumeratedValue(0))
	return d
}

// Set sets a property of an object, which comes into being by it. Several values are
// an array or a list. Subscribers are notified of a present value.
func (d *Device) Set(o wire.ObjectID, p wire.Property, values ...wire.Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.objects[o] == nil {
		d.objects[o] = make(map[wire.Property][]wire.Value)
		d.order = append(d.order, o)
	}
	d.objects[o][p] = values
	if p == wire.PresentValue {
		d.notifyAll(o)
	}
}

// SetRaw sets a property to tagged values.
func (d *Device) SetRaw(r wire.Reference, value []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raw[r] = value
}

// Remove removes an object.
func (d *Device) Remove(o wire.ObjectID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, o)
	d.order = slices.DeleteFunc(d.order, func(x wire.ObjectID) bool { return x == o })
}

// Fail makes a property answer with an error.
func (d *Device) Fail(r wire.Reference, e wire.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures[r] = e
}

// Command makes an object commandable: it has a priority array, and writes to its
// present value go there.
func (d *Device) Command(o wire.ObjectID, relinquish wire.Value) {
	d.Set(o, wire.RelinquishDefault, relinquish)
	d.Set(o, wire.PresentValue, relinquish)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.priorities[o] = new([16]*wire.Value)
}

// Silence makes the device answer nothing, or answer again.
func (d *Device) Silence(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = on
}

// Forget makes the device forget all subscriptions, as by a restart.
func (d *Device) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.subs)
}

// Subscriptions returns the number of subscriptions.
func (d *Device) Subscriptions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.subs)
}

// Unconfirmed returns the number of notifications that wait to be confirmed.
func (d *Device) Unconfirmed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending)
}

// Aborted returns the number of requests that the device has aborted.
func (d *Device) Aborted() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.aborted
}

// Requests returns the requests since the last call.
func (d *Device) Requests() []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.requests
	d.requests = nil
	return list
}

// Writes returns the writes since the last call.
func (d *Device) Writes() []wire.Write {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.writes
	d.writes = nil
	return list
}

func (d *Device) id() wire.ObjectID { return wire.NewObjectID(wire.DeviceObject, d.Instance) }

// read returns a property. The mutex is held.
func (d *Device) read(r wire.Reference) ([]byte, *wire.Error) {
	if r.Object == wire.NewObjectID(wire.DeviceObject, wire.AnyInstance) {
		r.Object = d.id()
	}
	if e, ok := d.failures[r]; ok {
		return nil, &e
	}
	if b, ok := d.raw[r]; ok {
		return b, nil
	}
	properties := d.objects[r.Object]
	if properties == nil {
		return nil, &wire.Error{Class: wire.ClassObject, Code: wire.CodeUnknownObject}
	}
	values, ok := properties[r.Property]
	if !ok {
		if values = d.implied(r); values == nil {
			return nil, &wire.Error{Class: wire.ClassProperty, Code: wire.CodeUnknownProperty}
		}
	}
	switch {
	case r.Index == wire.WholeArray:
	case r.Index == 0:
		values = []wire.Value{wire.UnsignedValue(uint64(len(values)))}
	case int64(r.Index) > int64(len(values)):
		return nil, &wire.Error{Class: wire.ClassProperty, Code: wire.CodeInvalidArrayIndex}
	default:
		values = values[r.Index-1 : r.Index]
	}
	var out []byte
	for _, v := range values {
		out = v.Append(out)
	}
	return out, nil
}

// implied returns a property that follows from others, or nil.
func (d *Device) implied(r wire.Reference) []wire.Value {
	own := r.Object == d.id()
	switch r.Property {
	case wire.ObjectIdentifierProperty:
		return []wire.Value{wire.ObjectIDValue(r.Object)}
	case wire.ObjectTypeProperty:
		return []wire.Value{wire.EnumeratedValue(uint32(r.Object.Type()))}
	case wire.PropertyList:
		var list []wire.Value
		for p := range d.objects[r.Object] {
			list = append(list, wire.EnumeratedValue(uint32(p)))
		}
		return list
	case wire.PriorityArray:
		return d.priorityArray(r.Object)
	}
	if !own {
		return nil
	}
	switch r.Property {
	case wire.ObjectList:
		list := make([]wire.Value, 0, len(d.order))
		for _, o := range d.order {
			list = append(list, wire.ObjectIDValue(o))
		}
		return list
	case wire.MaxAPDULengthAccepted:
		return []wire.Value{wire.UnsignedValue(uint64(d.MaxAPDU))}
	case wire.SegmentationSupported:
		return []wire.Value{wire.EnumeratedValue(uint32(d.Segmentation))}
	case wire.VendorIdentifier:
		return []wire.Value{wire.UnsignedValue(uint64(d.Vendor))}
	default:
		return nil
	}
}

func (d *Device) priorityArray(o wire.ObjectID) []wire.Value {
	array := d.priorities[o]
	if array == nil {
		return nil
	}
	list := make([]wire.Value, len(array))
	for i, v := range array {
		if v != nil {
			list[i] = *v
		}
	}
	return list
}

// write carries out a write. The mutex is held.
func (d *Device) write(w wire.Write) *wire.Error {
	properties := d.objects[w.Object]
	if properties == nil {
		return &wire.Error{Class: wire.ClassObject, Code: wire.CodeUnknownObject}
	}
	if e, ok := d.failures[w.Reference]; ok {
		return &e
	}
	w.Value = slices.Clone(w.Value)
	d.writes = append(d.writes, w)
	dec := wire.NewDecoder(w.Value)
	v := dec.Application()
	if dec.Err() != nil || dec.More() {
		d.raw[w.Reference] = w.Value
		return nil
	}
	if now := properties[w.Property]; len(now) == 1 && now[0].Kind != v.Kind && v.Kind != wire.Null {
		return &wire.Error{Class: wire.ClassProperty, Code: wire.CodeInvalidDataType}
	}
	array := d.priorities[w.Object]
	if array == nil || w.Property != wire.PresentValue {
		properties[w.Property] = []wire.Value{v}
	} else {
		at := 15
		if w.Priority != wire.NoPriority {
			at = int(w.Priority) - 1
		}
		if array[at] = &v; v.Kind == wire.Null {
			array[at] = nil
		}
		properties[wire.PresentValue] = properties[wire.RelinquishDefault]
		for _, p := range array {
			if p != nil {
				properties[wire.PresentValue] = []wire.Value{*p}
				break
			}
		}
	}
	if w.Property == wire.PresentValue {
		d.notifyAll(w.Object)
	}
	return nil
}
