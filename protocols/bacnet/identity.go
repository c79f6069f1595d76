package bacnet

import (
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// An identity is what the gateway's own device object holds.
type identity struct {
	iAm  wire.IAm
	name string
}

func newIdentity(l Local) *identity {
	i := &identity{name: l.Name, iAm: wire.IAm{
		Device: wire.NewObjectID(wire.DeviceObject, l.Instance), MaxAPDU: uint32(l.MaxAPDU),
		Segmentation: wire.NoSegmentation, Vendor: l.Vendor,
	}}
	if l.Segmentation == wire.SegmentedBoth || l.Segmentation == wire.SegmentedReceive {
		i.iAm.Segmentation = wire.SegmentedReceive // nothing of ours needs segments
	}
	return i
}

// read returns a property of the device object.
func (i *identity) read(r wire.Reference) ([]byte, *wire.Error) {
	if r.Object != i.iAm.Device && (r.Object.Type() != wire.DeviceObject || r.Object.Instance() != wire.AnyInstance) {
		return nil, &wire.Error{Class: wire.ClassObject, Code: wire.CodeUnknownObject}
	}
	if r.Property == wire.ObjectList {
		switch r.Index {
		case 0:
			return wire.UnsignedValue(1).Append(nil), nil
		case 1, wire.WholeArray:
			return wire.ObjectIDValue(i.iAm.Device).Append(nil), nil
		default:
			return nil, &wire.Error{Class: wire.ClassProperty, Code: wire.CodeInvalidArrayIndex}
		}
	}
	v, ok := i.property(r.Property)
	switch {
	case !ok:
		return nil, &wire.Error{Class: wire.ClassProperty, Code: wire.CodeUnknownProperty}
	case r.Index != wire.WholeArray:
		return nil, &wire.Error{Class: wire.ClassProperty, Code: wire.CodePropertyIsNotArray}
	default:
		return v.Append(nil), nil
	}
}

func (i *identity) property(p wire.Property) (wire.Value, bool) {
	const version, revision = 1, 14 // of the protocol
	switch p {
	case wire.ObjectIdentifierProperty:
		return wire.ObjectIDValue(i.iAm.Device), true
	case wire.ObjectName:
		return wire.TextValue(i.name), true
	case wire.ObjectTypeProperty:
		return wire.EnumeratedValue(uint32(wire.DeviceObject)), true
	case wire.SystemStatus:
		return wire.EnumeratedValue(0), true
	case wire.VendorIdentifier:
		return wire.UnsignedValue(uint64(i.iAm.Vendor)), true
	case wire.VendorName, wire.ModelName:
		return wire.TextValue("GridLinks IoT Gateway"), true
	case wire.ProtocolVersion:
		return wire.UnsignedValue(version), true
	case wire.ProtocolRevision:
		return wire.UnsignedValue(revision), true
	case wire.MaxAPDULengthAccepted:
		return wire.UnsignedValue(uint64(i.iAm.MaxAPDU)), true
	case wire.SegmentationSupported:
		return wire.EnumeratedValue(uint32(i.iAm.Segmentation)), true
	default:
		return wire.Value{}, false
	}
}

// readSelf answers a request to read the gateway's own device object.
func (e *endpoint) readSelf(from wire.Address, a *wire.APDU) {
	ack := wire.APDU{Type: wire.ComplexACK, InvokeID: a.InvokeID, Service: a.Service}
	var failed *wire.Error
	var err error
	if a.Service == wire.ServiceReadProperty {
		var r wire.Reference
		if r, err = wire.ParseReadProperty(a.Payload); err == nil {
			var value []byte
			if value, failed = e.readOwn(r); failed == nil {
				ack.Payload = wire.AppendReadPropertyACK(nil, r, value)
			}
		}
	} else {
		var results []wire.ReadResult
		err = wire.EachReadMultiple(a.Payload, func(r wire.Reference) bool {
			value, failed := e.readOwn(r)
			results = append(results, wire.ReadResult{Reference: r, Value: value, Err: failed})
			return true
		})
		ack.Payload = wire.AppendReadMultipleACK(nil, results)
	}
	const header = 3
	switch {
	case err != nil:
		ack = wire.APDU{Type: wire.RejectPDU, InvokeID: a.InvokeID, Reason: uint8(wire.RejectMissingParameter)}
	case failed != nil:
		ack = wire.APDU{Type: wire.ErrorPDU, InvokeID: a.InvokeID, Service: a.Service, Payload: failed.Append(nil)}
	case len(ack.Payload)+header > wire.Length(a.MaxAPDU):
		ack = wire.APDU{Type: wire.AbortPDU, Server: true, InvokeID: a.InvokeID, Reason: uint8(wire.AbortSegmentationNotSupported)}
	}
	e.reply(from, &ack)
}

func (e *endpoint) readOwn(r wire.Reference) (value []byte, failed *wire.Error) {
	failed = &wire.Error{Class: wire.ClassObject, Code: wire.CodeUnknownObject}
	for _, l := range e.audience() {
		if value, failed = l.device().read(r); failed == nil || failed.Code != wire.CodeUnknownObject {
			return value, failed
		}
	}
	return value, failed
}
