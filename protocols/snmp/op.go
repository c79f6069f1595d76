package snmp

import (
	"context"
	"errors"
	"fmt"

	"github.com/gosnmp/gosnmp"
)

// An op is a compiled reading method.
type op struct {
	method        Method
	oids, scalars []string
	repetitions   int
	encoding      Encoding
	scale         scale
}

// newOp compiles what objects and commands have in common.
func newOp(d Device, names Names, method Method, oids, scalars []string, repetitions int, enc Encoding, factor float64) (op, error) {
	o := op{method: method, encoding: enc, repetitions: repetitions}
	var errs []error
	if !method.valid() {
		errs = append(errs, fmt.Errorf("method: %v is not known", method))
	}
	if enc > Hex {
		errs = append(errs, fmt.Errorf("encoding: %d is not known", enc))
	}
	resolve := func(what string, list []string) (out []string) {
		for _, s := range list {
			oid, err := names.resolve(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
			}
			out = append(out, oid)
		}
		return out
	}
	o.oids, o.scalars = resolve("oid", oids), resolve("scalarOid", scalars)
	switch {
	case len(o.oids)+len(o.scalars) == 0:
		errs = append(errs, errors.New("oid: missing"))
	case method.single() && len(o.oids) != 1:
		errs = append(errs, fmt.Errorf("oid: %v takes one, not %d", method, len(o.oids)))
	case method != BulkGet && len(o.scalars) > 0:
		errs = append(errs, fmt.Errorf("scalarOid: is for bulkget, not for %v", method))
	case method == BulkGet && len(o.oids)+len(o.scalars) > DefaultMaxOIDs:
		errs = append(errs, fmt.Errorf("oid: more than %d of one bulkget", DefaultMaxOIDs))
	}
	switch {
	case repetitions < 0 || repetitions > maxRepetitions:
		errs = append(errs, fmt.Errorf("repetitions: %d is not in 0 to %d", repetitions, maxRepetitions))
	case repetitions == 0 && method == BulkGet:
		o.repetitions = 1
	case repetitions == 0:
		o.repetitions = max(d.MaxRepetitions, 1)
	}
	var err error
	if o.scale, err = newScale(factor); err != nil {
		errs = append(errs, fmt.Errorf("scale: %w", err))
	}
	return o, errors.Join(errs...)
}

// reading returns what a variable of an answer says.
func (o *op) reading(name string, pdu gosnmp.SnmpPDU) (reading, error) {
	v, err := decode(pdu, o.encoding)
	return reading{oid: name, value: o.scale.apply(v), octets: pdu.Type == gosnmp.OctetString}, err
}

// add adds what a variable says to list, unless it says nothing.
func (o *op) add(list []reading, name string, pdu gosnmp.SnmpPDU) []reading {
	if r, err := o.reading(name, pdu); err == nil && r.value.Valid() {
		return append(list, r)
	}
	return list
}

func (o *op) addAll(list []reading, slots []*slot) []reading {
	for _, s := range slots {
		if s.err == nil {
			list = o.add(list, plain(s.pdu.Name), s.pdu)
		}
	}
	return list
}

func newSlots(oids []string) []*slot {
	slots := make([]*slot, len(oids))
	for i, oid := range oids {
		slots[i] = &slot{oid: oid}
	}
	return slots
}

// batched reports whether objects of m are read along with those of others.
func (m Method) batched() bool { return m == Get || m == MultiGet || m == GetNext }

// result makes the result of a batched method from its slots. It fails if none of
// them has a value.
func (o *op) result(slots []*slot) (result, error) {
	r := result{shape: scalar}
	var errs []error
	for _, s := range slots {
		e, err := reading{}, s.err
		if err == nil {
			e, err = o.reading(plain(s.pdu.Name), s.pdu)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.oid, err))
		}
		r.readings = append(r.readings, e)
	}
	switch {
	case len(errs) == len(slots):
		return result{}, errs[0]
	case o.method == MultiGet:
		r.shape = list
	case o.method == GetNext:
		r.shape = object
	}
	return r, nil
}

// run carries out o by requests of its own.
func (t *target) run(ctx context.Context, n *tally, o *op) (result, error) {
	switch o.method {
	case Walk, MultiWalk, BulkWalk:
		return t.walked(ctx, n, o)
	case Table, BulkTable:
		return t.tabled(ctx, n, o)
	case BulkGet:
		return t.bulk(ctx, n, o)
	default:
		slots := newSlots(o.oids)
		if err := t.read(ctx, n, o.method == GetNext, slots); err != nil {
			return result{}, err
		}
		return o.result(slots)
	}
}
