package snmp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gosnmp/gosnmp"
)

// maxWalk is the most objects that a walk may find.
const maxWalk = 20000

// walk calls found for the objects below root, in order. It asks for as many at a
// time as repetitions says, one with V1.
func (t *target) walk(ctx context.Context, n *tally, root string, repetitions int, found func(gosnmp.SnmpPDU) error) error {
	at := root
	for count := 0; ; {
		answer, err := t.follow(ctx, n, at, &repetitions)
		if err != nil {
			return err
		}
		if answer.Error == gosnmp.NoSuchName || len(answer.Variables) == 0 {
			return nil // the end of a MIB, in version 1
		}
		for _, pdu := range answer.Variables {
			name := plain(pdu.Name)
			if _, ok := below(root, name); !ok || pdu.Type == gosnmp.EndOfMibView {
				return nil
			}
			if !before(at, name) {
				return fmt.Errorf("walk of %s: the agent answers %s after %s, which would never end", root, name, at)
			}
			if count++; count > maxWalk {
				return fmt.Errorf("walk of %s: more than %d objects", root, maxWalk)
			}
			if err := found(pdu); err != nil {
				return err
			}
			at = name
		}
	}
}

// follow asks for the objects behind at. If the agent cannot, it asks for fewer, and
// at last for one.
func (t *target) follow(ctx context.Context, n *tally, at string, repetitions *int) (*gosnmp.SnmpPacket, error) {
	for {
		*repetitions = min(*repetitions, t.mostRepetitions)
		if *repetitions <= 1 || t.device.Version == V1 {
			return t.next(ctx, n, at)
		}
		answer, err := t.request(ctx, n, func(s *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
			return s.GetBulk([]string{at}, 0, uint32(*repetitions))
		})
		switch {
		case err == nil && answer.Error == gosnmp.NoError:
			t.provenRepetitions = max(t.provenRepetitions, *repetitions)
			return answer, nil
		case err == nil:
			t.mostRepetitions = *repetitions / 2
		case !errors.Is(err, errTimeout) || *repetitions <= t.provenRepetitions:
			return nil, err
		default: // does it answer at all?
			answer, err := t.next(ctx, n, at)
			if err == nil {
				t.mostRepetitions = *repetitions / 2
			}
			return answer, err
		}
	}
}

// next asks for the object behind at.
func (t *target) next(ctx context.Context, n *tally, at string) (*gosnmp.SnmpPacket, error) {
	answer, err := t.request(ctx, n, func(s *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return s.GetNext([]string{at}) })
	if err == nil && answer.Error != gosnmp.NoError && answer.Error != gosnmp.NoSuchName {
		return nil, agentError{answer.Error}
	}
	return answer, err
}

// walked walks below each of roots and returns what was found.
func (t *target) walked(ctx context.Context, n *tally, o *op) (result, error) {
	r := result{shape: object}
	for _, root := range o.oids {
		err := t.walk(ctx, n, root, o.repetitions, func(pdu gosnmp.SnmpPDU) error {
			r.readings = o.add(r.readings, plain(pdu.Name), pdu)
			return nil
		})
		if err != nil {
			return result{}, err
		}
	}
	return r, nil
}

// tabled reads a table, row by row in the order of the first column.
func (t *target) tabled(ctx context.Context, n *tally, o *op) (result, error) {
	r := result{shape: table}
	root := o.oids[0]
	if o.method == BulkTable {
		root += ".1" // the entry object
	}
	places := make(map[string]int)
	err := t.walk(ctx, n, root, o.repetitions, func(pdu gosnmp.SnmpPDU) error {
		rest, _ := below(root, plain(pdu.Name))
		column, index, ok := strings.Cut(rest, ".")
		if !ok {
			return fmt.Errorf("%s is no table entry: it has the object %s, which is in no column", root, plain(pdu.Name))
		}
		place, ok := places[index]
		if !ok {
			place = len(r.rows)
			places[index] = place
			r.rows = append(r.rows, row{index: index})
		}
		r.rows[place].columns = o.add(r.rows[place].columns, column, pdu)
		return nil
	})
	if err != nil {
		return result{}, err
	}
	return r, nil
}

// bulk sends one GETBULK, or what is the same to an agent of version 1.
func (t *target) bulk(ctx context.Context, n *tally, o *op) (result, error) {
	if t.device.Version == V1 {
		return t.bulkByNext(ctx, n, o)
	}
	r := result{shape: object}
	answer, err := t.request(ctx, n, func(s *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		oids := append(append(make([]string, 0, len(o.scalars)+len(o.oids)), o.scalars...), o.oids...)
		return s.GetBulk(oids, uint8(len(o.scalars)), uint32(o.repetitions))
	})
	if err != nil {
		return r, err
	}
	if answer.Error != gosnmp.NoError {
		return r, agentError{answer.Error}
	}
	for _, pdu := range answer.Variables {
		if pdu.Type != gosnmp.EndOfMibView {
			r.readings = o.add(r.readings, plain(pdu.Name), pdu)
		}
	}
	return r, nil
}

// bulkByNext does with GETNEXT what bulk does with GETBULK.
func (t *target) bulkByNext(ctx context.Context, n *tally, o *op) (result, error) {
	r := result{shape: object}
	slots := newSlots(o.scalars)
	if err := t.read(ctx, n, true, slots); err != nil {
		return r, err
	}
	r.readings = o.addAll(r.readings, slots)
	slots = newSlots(o.oids)
	for range o.repetitions {
		if err := t.read(ctx, n, true, slots); err != nil {
			return r, err
		}
		r.readings = o.addAll(r.readings, slots)
		for _, s := range slots {
			if s.err == nil {
				s.oid = plain(s.pdu.Name)
			}
		}
	}
	return r, nil
}
