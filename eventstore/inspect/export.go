package main

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// export prints records as JSON lines, and what cannot be read to the progress.
func (i *inspection) export(all bool) (status int) {
	var line []byte
	i.each(func(_ int, rec eventstore.Record, damage error) {
		switch {
		case damage != nil:
			if !i.isBeingWritten(damage) {
				_, _ = fmt.Fprintln(i.progress.w, "inspect:", damage)
				status = statusDamaged
			}
		case all || rec.Offset > i.view.Cursor || i.view.CursorErr != nil:
			line = append(i.appendRecord(line[:0], rec), '\n')
			i.out.write(line)
		}
	})
	return status
}

// appendRecord appends the JSON object of rec to dst.
func (i *inspection) appendRecord(dst []byte, rec eventstore.Record) []byte {
	dst = append(dst, `{"offset":`...)
	dst = strconv.AppendUint(dst, rec.Offset, 10)
	i.batch.Reset()
	if err := i.decoder.Decode(rec.Data, &i.batch); err != nil {
		dst = append(dst, `,"data":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, rec.Data)
		dst = append(dst, `","error":`...)
		return append(telemetry.AppendString(dst, err.Error()), '}')
	}
	dst = append(dst, `,"groups":[`...)
	for n, g := range i.batch.Groups() {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"device":`...)
		dst = telemetry.AppendString(dst, g.Device.Name)
		dst = append(dst, `,"profile":`...)
		dst = telemetry.AppendString(dst, g.Device.Profile)
		dst = appendPoints(dst, "telemetry", g.Telemetry, true)
		dst = append(appendPoints(dst, "attributes", g.Attributes, false), '}')
	}
	return append(dst, "]}"...)
}

// appendPoints appends a member with points, unless there are none.
func appendPoints(dst []byte, name string, points []telemetry.Point, timed bool) []byte {
	if len(points) == 0 {
		return dst
	}
	dst = append(dst, `,"`+name+`":[`...)
	for n, p := range points {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if timed {
			dst = append(dst, `"ts":`...)
			dst = append(strconv.AppendInt(dst, p.TS, 10), ',')
		}
		dst = append(dst, `"key":`...)
		dst = telemetry.AppendString(dst, p.Key)
		dst = append(dst, `,"value":`...)
		dst = append(p.Value.AppendJSON(dst), '}')
	}
	return append(dst, ']')
}
