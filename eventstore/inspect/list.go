package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/internal/record"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An inspection is a look at one store.
type inspection struct {
	view     *filestore.View
	out      *printer
	progress *progress
	decoder  record.Decoder
	batch    telemetry.Batch
}

// each calls f with every record, and with the damage in between. What cannot
// be read at all is damage too.
func (i *inspection) each(f func(segment int, rec eventstore.Record, damage error)) {
	for n, s := range i.view.Segments {
		read := int64(0)
		for rec, err := range i.view.Records(n) {
			if i.view.InUse && errors.Is(err, fs.ErrNotExist) {
				break // all of it was delivered meanwhile
			}
			f(n, rec, err)
			size := min(int64(len(rec.Data)), s.Size-read)
			read += size
			i.progress.add(size)
		}
		i.progress.add(s.Size - read)
	}
}

// A backlog is what is pending of one device.
type backlog struct {
	records, points int
	oldest, newest  int64 // milliseconds, or 0
}

func (b *backlog) add(points []telemetry.Point) {
	for _, p := range points {
		if p.TS == 0 {
			continue
		}
		if b.oldest == 0 || p.TS < b.oldest {
			b.oldest = p.TS
		}
		b.newest = max(b.newest, p.TS)
	}
}

// list prints the segments, the cursor and what is pending.
func (i *inspection) list() (status int) {
	devices := map[string]*backlog{}
	counts := make([]int, len(i.view.Segments))
	bad := make([]int, len(i.view.Segments))
	var pending, foreign int
	var size int64
	i.each(func(n int, rec eventstore.Record, damage error) {
		if damage != nil {
			if !i.isBeingWritten(damage) {
				bad[n]++
				status = statusDamaged
			}
			return
		}
		counts[n]++
		if rec.Offset <= i.view.Cursor && i.view.CursorErr == nil {
			return
		}
		pending++
		size += int64(len(rec.Data))
		if !i.count(rec, devices) {
			foreign++
		}
	})
	i.listSegments(counts, bad)
	i.out.printf("\npending: %d records, %s\n", pending, amount(size))
	if foreign > 0 {
		i.out.printf("  %d of them are not records of a gateway\n", foreign)
	}
	i.listDevices(devices)
	return status
}

// isBeingWritten reports whether damage is no more than the end of what a store
// is writing.
func (i *inspection) isBeingWritten(damage error) bool {
	var e *filestore.DamageError
	return i.view.InUse && errors.As(damage, &e) && e.Tail
}

// count adds rec to the backlogs of its devices, and reports whether it can be
// decoded.
func (i *inspection) count(rec eventstore.Record, devices map[string]*backlog) bool {
	i.batch.Reset()
	if i.decoder.Decode(rec.Data, &i.batch) != nil {
		return false
	}
	for _, g := range i.batch.Groups() {
		b := devices[g.Device.Name]
		if b == nil {
			b = new(backlog)
			devices[g.Device.Name] = b
		}
		b.records++
		b.points += len(g.Telemetry) + len(g.Attributes)
		b.add(g.Telemetry)
	}
	return true
}

func (i *inspection) listSegments(counts, bad []int) {
	if i.view.InUse {
		i.out.printf("a store works in the folder\n")
	}
	if i.view.CursorErr != nil {
		i.out.printf("cursor: cannot be read (%v), reading would start at the oldest record\n", i.view.CursorErr)
	} else {
		i.out.printf("cursor: offset %d is released\n", i.view.Cursor)
	}
	i.out.printf("\n")
	rows := []string{"segment\tfrom offset\trecords\tsize\twritten\tkey\tcodec\tstate"}
	for n, s := range i.view.Segments {
		state := "sound"
		switch {
		case s.Err != nil:
			state = s.Err.Error()
		case bad[n] > 0:
			state = fmt.Sprintf("damaged in %d places", bad[n])
		}
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s", s.Name, s.First, counts[n], amount(s.Size),
			s.Modified.Format(time.DateTime), s.Key, s.Codec, state))
	}
	for _, s := range i.view.Aside {
		rows = append(rows, fmt.Sprintf("%s\t\t\t%s\t%s\t\t\tkept aside", s.Name, amount(s.Size), s.Modified.Format(time.DateTime)))
	}
	i.out.table(rows)
}

func (i *inspection) listDevices(devices map[string]*backlog) {
	if len(devices) == 0 {
		return
	}
	i.out.printf("\n")
	rows := []string{"device\trecords\tvalues\toldest\tnewest\tage of the oldest"}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		b := devices[name]
		age := ""
		if b.oldest > 0 {
			age = time.Since(time.UnixMilli(b.oldest)).Round(time.Second).String()
		}
		rows = append(rows, fmt.Sprintf("%q\t%d\t%d\t%s\t%s\t%s", name, b.records, b.points, moment(b.oldest), moment(b.newest), age))
	}
	i.out.table(rows)
}

func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).Format(time.DateTime)
}
