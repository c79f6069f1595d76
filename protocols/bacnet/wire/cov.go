package wire

import (
	"math"
	"time"
)

// A Subscription is a SubscribeCOV request.
type Subscription struct {
	Process   uint32
	Object    ObjectID
	Confirmed bool          // notifications are to be confirmed
	Lifetime  time.Duration // whole seconds; zero: for ever
	Cancel    bool
}

// Append appends the contents of the request.
func (s Subscription) Append(dst []byte) []byte {
	dst = AppendContext(dst, 0, UnsignedValue(uint64(s.Process)))
	dst = AppendContext(dst, 1, ObjectIDValue(s.Object))
	if s.Cancel {
		return dst
	}
	dst = AppendContext(dst, 2, BooleanValue(s.Confirmed))
	return AppendContext(dst, 3, UnsignedValue(uint64(s.Lifetime/time.Second)))
}

// ParseSubscription reads the contents of a SubscribeCOV request.
func ParseSubscription(b []byte) (Subscription, error) {
	d := NewDecoder(b)
	process := d.Context(0, Unsigned).Bits
	s := Subscription{Process: uint32(process), Object: d.Context(1, ObjectIDKind).ObjectID()}
	confirmed, ok := d.Optional(2, Boolean)
	lifetime, timed := d.Optional(3, Unsigned)
	if process > math.MaxUint32 || lifetime.Bits > math.MaxUint32 {
		d.fail()
	}
	s.Confirmed, s.Lifetime = confirmed.Bool(), time.Duration(lifetime.Bits)*time.Second
	s.Cancel = !ok && !timed
	return s, d.Err()
}

// A Notification is a COV notification, whether it is to be confirmed or not.
type Notification struct {
	Process   uint32
	Device    ObjectID
	Object    ObjectID
	Remaining time.Duration // of the subscription's lifetime

	values []byte
}

// Append appends the contents of the notification and its values, which
// AppendPropertyValue makes.
func (n Notification) Append(dst, values []byte) []byte {
	dst = AppendContext(dst, 0, UnsignedValue(uint64(n.Process)))
	dst = AppendContext(dst, 1, ObjectIDValue(n.Device))
	dst = AppendContext(dst, 2, ObjectIDValue(n.Object))
	dst = AppendContext(dst, 3, UnsignedValue(uint64(n.Remaining/time.Second)))
	return AppendClose(append(AppendOpen(dst, 4), values...), 4)
}

// AppendPropertyValue appends one of the values of a notification.
func AppendPropertyValue(dst []byte, p Property, value []byte) []byte {
	dst = AppendContext(dst, 0, EnumeratedValue(uint32(p)))
	return AppendClose(append(AppendOpen(dst, 2), value...), 2)
}

// ParseNotification reads the contents of a notification. Its values are checked as
// a whole, and taken by Each.
func ParseNotification(b []byte) (Notification, error) {
	d := NewDecoder(b)
	process := d.Context(0, Unsigned).Bits
	n := Notification{Process: uint32(process), Device: d.Context(1, ObjectIDKind).ObjectID(), Object: d.Context(2, ObjectIDKind).ObjectID()}
	remaining := d.Context(3, Unsigned).Bits
	n.values = d.Constructed(4)
	if process > math.MaxUint32 || remaining > math.MaxUint32 {
		d.fail()
	}
	n.Remaining = time.Duration(remaining) * time.Second
	return n, d.Err()
}

// Each calls yield for each value of n until it returns false.
func (n Notification) Each(yield func(r Reference, value []byte) bool) error {
	d := NewDecoder(n.values)
	for d.More() {
		r := d.property(n.Object, 0)
		value := d.Constructed(2)
		d.Optional(3, Unsigned) // a priority
		if !d.bad && !yield(r, value) {
			return nil
		}
	}
	return d.Err()
}
