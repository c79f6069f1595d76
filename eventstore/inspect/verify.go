package main

import (
	"errors"
	"io"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// verify reads everything and prints what is wrong.
func (i *inspection) verify() (status int) {
	for _, s := range i.view.Segments {
		if s.Err != nil {
			i.out.printf("segment %s: %v\n", s.Name, s.Err)
			status = statusDamaged
		}
	}
	if i.view.CursorErr != nil {
		i.out.printf("cursor: %v\n", i.view.CursorErr)
		status = statusDamaged
	}
	records, lost := uint64(0), uint64(0)
	i.each(func(_ int, _ eventstore.Record, damage error) {
		switch {
		case damage == nil:
			records++
		case i.isBeingWritten(damage):
			i.out.printf("%v, which a store is writing\n", damage)
		default:
			i.out.printf("%v\n", damage)
			status = statusDamaged
			var e *filestore.DamageError
			if errors.As(damage, &e) && !e.Tail {
				lost += e.Last - e.First + 1
			}
		}
	})
	i.out.printf("%d segments, %d sound records, %d records damaged or missing\n", len(i.view.Segments), records, lost)
	return status
}

// repair repairs the store and prints what it has done.
func repair(cfg filestore.Config, stdout, stderr io.Writer) error {
	v, err := filestore.Look(cfg)
	if err != nil {
		return err
	}
	p := newProgress(stderr, v)
	r, err := filestore.Repair(cfg, p.set)
	p.end()
	if err != nil {
		return err
	}
	out := newPrinter(stdout)
	for _, name := range r.Segments {
		out.printf("segment %s was damaged and is kept aside\n", name)
	}
	if r.Cursor {
		out.printf("the cursor was damaged and is before the oldest record now\n")
	}
	if len(r.Segments) == 0 && !r.Cursor {
		out.printf("nothing is damaged\n")
	} else {
		out.printf("%d records were saved, %d are lost\n", r.Records, r.Lost)
	}
	return out.flush()
}
