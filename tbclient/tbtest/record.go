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

// A Claim is what a claiming message says about a device.
type Claim struct {
	SecretKey  string
	DurationMS int64
}

// Stats counts what a Server has seen.
type Stats struct {
	Connects    uint64 // sessions that were accepted
	Refused     uint64 // sessions that were refused
	Readings    uint64 // telemetry values accepted
	Attributes  uint64 // client attributes accepted
	Announced   uint64 // v1/gateway/connect messages
	Rejected    uint64 // messages that ended their connection
	Refusals    uint64 // messages acknowledged with a reason of failure
	RateLimited uint64 // messages that a rate limit did not allow
	TooLarge    uint64 // packets that were larger than MaxPayload
	Replies     uint64 // replies to calls
	Unasked     uint64 // replies that no call waits for
	Pushed      uint64 // messages sent to gateways
	Confirmed   uint64 // of them, acknowledged by the gateway
	MaxUnacked  int    // most messages at once that waited for their acknowledgement
}

type known struct {
	Device
	session        *session
	client, shared map[string]any
	claim          *Claim
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

// notify wakes those that wait for something to happen; s.mu is held.
func (s *Server) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// change returns a channel that is closed when something happens.
func (s *Server) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// WaitFor waits until cond holds. It is tried whenever something has happened,
// and may use the methods of s. The error is that of ctx.
func (s *Server) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		changed := s.change()
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

// SharedAttributes returns the shared attributes of a device.
func (s *Server) SharedAttributes(device string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.record.devices[device]; d != nil {
		return maps.Clone(d.shared)
	}
	return nil
}

// Claim returns what the last claiming message for a device said; that of the
// gateway itself is under Gateway.
func (s *Server) Claim(device string) (Claim, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.record.devices[device]; d != nil && d.claim != nil {
		return *d.claim, true
	}
	return Claim{}, false
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

// open opens a device's session on se, as any message that names it does. A
// device that is unknown is created. It returns why it cannot be, or 0.
func (s *Server) open(se *session, name, kind string) (reason byte) {
	s.mu.Lock()
	_, exists := s.record.devices[name]
	s.mu.Unlock()
	refuse := s.cfg.RefuseDevice
	if !exists && refuse != nil {
		if reason := refuse(name, kind); reason != 0 {
			return reason
		}
	}
	s.event(func() {
		if reason = s.creatable(name); reason == 0 {
			d := s.device(name, kind)
			d.session, d.Online = se, true
		}
	})
	return reason
}

// creatable returns why a device cannot be created, or 0; s.mu is held.
func (s *Server) creatable(name string) (reason byte) {
	if _, exists := s.record.devices[name]; exists {
		return 0
	}
	if len(name) > s.cfg.MaxDeviceName {
		return reasonUnspecified
	}
	others := len(s.record.devices)
	if _, own := s.record.devices[Gateway]; own {
		others--
	}
	if s.cfg.MaxDevices > 0 && others >= s.cfg.MaxDevices {
		return reasonQuota
	}
	return 0
}

func (s *Server) disconnectDevice(name string) {
	s.event(func() {
		if d := s.record.devices[name]; d != nil {
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

// storeTelemetry records telemetry of a device.
func (s *Server) storeTelemetry(data deviceData) {
	now := time.Now().UnixMilli()
	added := make([]Reading, 0, data.points())
	s.event(func() {
		s.device(data.device, "default")
		r := &s.record
		for _, e := range data.elements {
			if !e.hasTS {
				e.ts = now
			}
			for _, kv := range e.values {
				r.seq++
				added = append(added, Reading{data.device, kv.key, e.ts, kv.value, r.seq})
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

// storeAttributes records client attributes of a device.
func (s *Server) storeAttributes(data deviceData) {
	s.event(func() {
		d := s.device(data.device, "default")
		for _, kv := range data.values {
			d.client[kv.key] = kv.value
		}
		s.stats.Attributes += uint64(len(data.values))
	})
}

func (s *Server) claimed(device string, c Claim) {
	s.event(func() { s.device(device, "default").claim = &c })
}

// lookUp returns the attributes of a device that exist; without keys, all.
func (s *Server) lookUp(device string, client bool, keys []string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.device(device, "default")
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
