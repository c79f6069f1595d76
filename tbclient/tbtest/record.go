package tbtest

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Gateway is the name under which the gateway's own device is recorded.
const Gateway = "\x00gateway"

// A Reading is one accepted telemetry value.
type Reading struct {
	Device, Key string
	TS          int64  // Unix milliseconds
	Value       any    // bool, int64, float64, string or json.RawMessage
	Seq         uint64 // counts the accepted readings, from 1
}

// A Device is what the server knows of a device.
type Device struct {
	Type   string
	Online bool // it has a session, on a connection that has not ended
}

// Stats counts what a Server has seen.
type Stats struct {
	Connects   uint64 // sessions that were accepted
	Refused    uint64 // sessions that were refused for their credentials
	Readings   uint64 // telemetry values accepted
	Attributes uint64 // client attributes accepted
	Announced  uint64 // v1/gateway/connect messages
	Rejected   uint64 // messages that ended their connection
	TooLarge   uint64 // packets that were larger than MaxPayload
	Replies    uint64 // replies to calls
	Unasked    uint64 // replies that no call waits for
	Pushed     uint64 // messages sent to gateways
	Confirmed  uint64 // of them, acknowledged by the gateway
	MaxUnacked int    // most messages at once that waited for their acknowledgement
}

type known struct {
	Device
	session        *session
	client, shared map[string]any
}

// A record is what the server was told. Server.mu guards it.
type record struct {
	readings []Reading
	seq      uint64
	devices  map[string]*known
}

func newRecord() record { return record{devices: make(map[string]*known)} }

// event changes the record and tells those who wait for it.
func (s *Server) event(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.notify()
}

func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// WaitFor waits until cond holds. It is tried whenever something has happened,
// and may use the methods of s. The error is that of ctx.
func (s *Server) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Readings returns the readings that are kept, in the order of arrival.
func (s *Server) Readings() []Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.record.readings)
}

// Reset forgets the readings. Seq and Stats count on.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.readings = nil
}

// Device returns what is known of a device.
func (s *Server) Device(name string) (Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.record.devices[name]
	if d == nil {
		return Device{}, false
	}
	return d.Device, true
}

// Devices returns all known devices by name.
func (s *Server) Devices() map[string]Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Device, len(s.record.devices))
	for name, d := range s.record.devices {
		out[name] = d.Device
	}
	return out
}

// Attributes returns the client attributes of a device.
func (s *Server) Attributes(device string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.record.devices[device]; d != nil {
		return maps.Clone(d.client)
	}
	return nil
}

// device returns the device, and creates it if needed. s.mu is held.
func (s *Server) device(name, kind string) *known {
	d := s.record.devices[name]
	if d == nil {
		d = &known{Device: Device{Type: kind}, client: make(map[string]any), shared: make(map[string]any)}
		s.record.devices[name] = d
	}
	return d
}

// open opens the device's session on se, as any message that names it does.
func (s *Server) open(se *session, name, kind string) *known {
	d := s.device(name, kind)
	if se != nil {
		d.session, d.Online = se, true
	}
	return d
}

func (s *Server) connectDevice(se *session, name, kind string) {
	s.event(func() {
		s.stats.Announced++
		s.open(se, name, kind)
	})
}

func (s *Server) disconnectDevice(n node) {
	name, _ := n.member("device")
	s.event(func() {
		if d := s.record.devices[name.text]; d != nil {
			d.session, d.Online = nil, false
		}
	})
}

// offline ends the device sessions of se. s.mu is held.
func (s *Server) offline(se *session) {
	for _, d := range s.record.devices {
		if d.session == se {
			d.session, d.Online = nil, false
		}
	}
	s.notify()
}

func (s *Server) storeTelemetry(se *session, device string, n node) error {
	elements, err := parseGatewayTelemetry(n)
	if err != nil {
		return err
	}
	s.store(se, device, elements)
	return nil
}

func (s *Server) storeOwnTelemetry(n node) error {
	elements, err := parseDeviceTelemetry(n)
	if err != nil {
		return err
	}
	s.store(nil, Gateway, elements)
	return nil
}

func (s *Server) store(se *session, device string, elements []element) {
	now := time.Now().UnixMilli()
	var added []Reading
	s.event(func() {
		s.open(se, device, "default")
		r := &s.record
		for _, e := range elements {
			if !e.hasTS {
				e.ts = now
			}
			for _, kv := range e.values {
				r.seq++
				added = append(added, Reading{device, kv.key, e.ts, kv.value, r.seq})
			}
		}
		s.stats.Readings += uint64(len(added))
		r.readings = append(r.readings, added...)
		if extra := len(r.readings) - s.cfg.Keep; extra > s.cfg.Keep/4 {
			r.readings = slices.Clone(r.readings[extra:])
		}
	})
	if f := s.cfg.OnTelemetry; f != nil {
		for _, r := range added {
			f(r)
		}
	}
}

func (s *Server) storeAttributes(se *session, device string, n node) error {
	values, err := parseAttributes(n)
	if err != nil {
		return err
	}
	s.event(func() {
		d := s.open(se, device, "default")
		for _, kv := range values {
			d.client[kv.key] = kv.value
		}
		s.stats.Attributes += uint64(len(values))
	})
	return nil
}

// lookUp returns the attributes of a device that exist; without keys, all.
func (s *Server) lookUp(se *session, device string, client bool, keys []string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.open(se, device, "default")
	from := d.shared
	if client {
		from = d.client
	}
	if len(keys) == 0 {
		return maps.Clone(from)
	}
	found := make(map[string]any)
	for _, k := range keys {
		if v, ok := from[k]; ok {
			found[k] = v
		}
	}
	return found
}
