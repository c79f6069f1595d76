package modbus

import (
	"encoding/json"
	"log/slog"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Upgrade returns a file in the form of today, as the loader reads it.
func Upgrade(doc json.RawMessage) any {
	r := conf.NewReader(nil)
	f := &file{r: r, log: slog.New(slog.DiscardHandler)}
	root := r.Root(doc)
	list, _ := f.slaves(root)
	slaves := make([]any, 0, len(list))
	for _, s := range list {
		fields := fieldsOf(s)
		if f.old {
			for _, key := range [...]string{"host", "port", "type", "method", "timeout", "byteOrder", "wordOrder", "retries", "baudrate"} {
				fields[key] = s.Raw(key)
			}
		}
		slaves = append(slaves, fields)
	}
	own, _ := f.serverSection(root)
	if !root.Has("slave") {
		return map[string]any{"master": map[string]any{"slaves": slaves}, "slave": nil}
	}
	fields := fieldsOf(own)
	values := make(map[string]any)
	for _, key := range own.Object("values").Keys() {
		values[key] = fieldsOf(section(own.Object("values"), key))
	}
	fields["values"] = values
	return map[string]any{"master": map[string]any{"slaves": slaves}, "slave": fields}
}

func fieldsOf(o *conf.Object) map[string]any {
	fields := make(map[string]any)
	for _, key := range o.Keys() {
		fields[key] = o.Raw(key)
	}
	return fields
}

// FeedServer gives servers of each framing what a master may send, and fails t if an
// answer is not a frame of its own.
func FeedServer(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, b []byte,
) {
	t.Helper()
	m := newImage(Identity{VendorName: "v", ProductCode: "p"})
	for i := range 20 {
		m.words[Holding][uint16(i)], m.bits[0][uint16(i)] = uint16(i), i%2 == 0
	}
	if len(b) > 0 && len(b) <= maxPDU {
		if a := m.answer(nil, b); len(a) < 2 || len(a) > maxPDU {
			t.Fatalf("%x is answered with %x", b, a)
		}
	}
	for _, frame := range []string{frameMBAP, frameRTU, frameASCII} {
		s := &server{image: m, at: endpoint{frame: frame, medium: mediumUDP}}
		out := s.packet(nil, s.at.framing(), b)
		if len(out) == 0 {
			continue
		}
		if frame == frameMBAP {
			if _, n, err := parseMBAP(out); err != nil || n != len(out) {
				t.Fatalf("%s: %x is answered with %x", frame, b, out)
			}
		}
		if len(out) > maxASCIIFrame {
			t.Fatalf("%s: answer of %d bytes", frame, len(out))
		}
	}
}
