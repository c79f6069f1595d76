package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// An ObjectType is the type of an object, 0 to 1023; 128 and above are proprietary.
type ObjectType uint16

// The object types that this module treats in a special way.
const (
	AnalogInput          ObjectType = 0
	AnalogOutput         ObjectType = 1
	AnalogValue          ObjectType = 2
	BinaryInput          ObjectType = 3
	BinaryOutput         ObjectType = 4
	BinaryValue          ObjectType = 5
	DeviceObject         ObjectType = 8
	LoopObject           ObjectType = 12
	MultiStateInput      ObjectType = 13
	MultiStateOutput     ObjectType = 14
	MultiStateValue      ObjectType = 19
	LifeSafetyPoint      ObjectType = 21
	LifeSafetyZone       ObjectType = 22
	Accumulator          ObjectType = 23
	PulseConverter       ObjectType = 24
	LoadControl          ObjectType = 28
	AccessDoor           ObjectType = 30
	BitStringValue       ObjectType = 39
	CharacterStringValue ObjectType = 40
	DatePatternValue     ObjectType = 41
	DateValue            ObjectType = 42
	DateTimePatternValue ObjectType = 43
	DateTimeValue        ObjectType = 44
	IntegerValue         ObjectType = 45
	LargeAnalogValue     ObjectType = 46
	OctetStringValue     ObjectType = 47
	PositiveIntegerValue ObjectType = 48
	TimePatternValue     ObjectType = 49
	TimeValue            ObjectType = 50
	BinaryLightingOutput ObjectType = 55
)

const maxObjectType = 1<<10 - 1

// String returns the name of the standard, such as analog-input, or the number.
func (t ObjectType) String() string { return objectTypes.text(uint32(t)) }

// ParseObjectType reads an object type: analogInput, analog-input or a number.
func ParseObjectType(s string) (ObjectType, error) {
	n, ok := objectTypes.find(strings.TrimSpace(s))
	if !ok || n > maxObjectType {
		return 0, fmt.Errorf("wire: %q is not an object type", s)
	}
	return ObjectType(n), nil
}

// AnyInstance is the instance that no object has: of a device object it stands for
// the device that is asked.
const AnyInstance = 1<<22 - 1

// An ObjectID identifies an object of a device: 10 bits of type, 22 of instance.
type ObjectID uint32

// NewObjectID returns the identifier of an object. Bits of the instance beyond 22
// are lost.
func NewObjectID(t ObjectType, instance uint32) ObjectID {
	return ObjectID(uint32(t)<<22 | instance&AnyInstance)
}

// Type returns the object's type.
func (o ObjectID) Type() ObjectType { return ObjectType(o >> 22) }

// Instance returns the object's number among those of its type.
func (o ObjectID) Instance() uint32 { return uint32(o) & AnyInstance }

// String returns the identifier in the form analog-input,1.
func (o ObjectID) String() string {
	return o.Type().String() + "," + strconv.FormatUint(uint64(o.Instance()), 10)
}

// A Property identifies a property, 0 to 16777215; 512 to 4194303 are proprietary.
type Property uint32

// The properties that this module treats in a special way.
const (
	AllProperties             Property = 8
	CovIncrement              Property = 22
	DatabaseRevision          Property = 155
	Description               Property = 28
	DeviceType                Property = 31
	FirmwareRevision          Property = 44
	HighLimit                 Property = 45
	LowLimit                  Property = 59
	MaxAPDULengthAccepted     Property = 62
	MaxPresValue              Property = 65
	MinPresValue              Property = 69
	ModelName                 Property = 70
	ObjectIdentifierProperty  Property = 75
	ObjectList                Property = 76
	ObjectName                Property = 77
	ObjectTypeProperty        Property = 79
	OutOfService              Property = 81
	PresentValue              Property = 85
	PriorityArray             Property = 87
	ProtocolObjectTypes       Property = 96
	ProtocolServicesSupported Property = 97
	ProtocolVersion           Property = 98
	RelinquishDefault         Property = 104
	SegmentationSupported     Property = 107
	StatusFlags               Property = 111
	SystemStatus              Property = 112
	Units                     Property = 117
	VendorIdentifier          Property = 120
	VendorName                Property = 121
	ProtocolRevision          Property = 139
	PropertyList              Property = 371
)

const maxProperty = 1<<24 - 1

// String returns the name of the standard, such as present-value, or the number.
func (p Property) String() string { return properties.text(uint32(p)) }

// ParseProperty reads a property: presentValue, present-value or a number.
func ParseProperty(s string) (Property, error) {
	n, ok := properties.find(strings.TrimSpace(s))
	if !ok || n > maxProperty {
		return 0, fmt.Errorf("wire: %q is not a property", s)
	}
	return Property(n), nil
}

// WholeArray is the Index of a Reference to all of a property.
const WholeArray = ^uint32(0)

// A Reference names a property of an object, or an element of it if it is an array:
// 0 is the number of elements, which count from 1.
type Reference struct {
	Object   ObjectID
	Property Property
	Index    uint32 // or WholeArray
}

// String returns the reference in the form analog-output,1:priority-array[8].
func (r Reference) String() string {
	s := r.Object.String() + ":" + r.Property.String()
	if r.Index != WholeArray {
		s += "[" + strconv.FormatUint(uint64(r.Index), 10) + "]"
	}
	return s
}
