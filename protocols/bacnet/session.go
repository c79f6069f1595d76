package bacnet

import (
	"context"
	"log/slog"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// maxDevices bounds how many devices a connector takes up: anyone can claim to be
// one.
const maxDevices = 4096

// A session is one Run of a connector.
type session struct {
	connector.Host
	c    *Connector
	log  *slog.Logger
	end  *endpoint
	id   *identity
	run  context.Context         //nolint:containedctx // the session's life
	fail context.CancelCauseFunc // ends Run

	notices chan queued
	spare   chan []byte // buffers of notices

	wg sync.WaitGroup // of devices

	mu         sync.Mutex
	closed     bool
	crowded    bool // that there are too many devices was reported
	dropping   bool // that notifications are dropped was reported
	devices    map[station]*device
	byName     map[string][]*device
	byInstance map[uint32][]*device
}

// A station is a device as an entry sees it.
type station struct {
	entry    *entry
	instance uint32
}

var _ listener = (*session)(nil)

func newSession(ctx context.Context, c *Connector, host connector.Host, end *endpoint, fail context.CancelCauseFunc) *session {
	return &session{
		Host: host, c: c, log: host.Logger(), end: end, id: newIdentity(c.cfg.Local), run: ctx, fail: fail,
		notices: make(chan queued, maxNotices), spare: make(chan []byte, maxNotices),
		devices: make(map[station]*device), byName: make(map[string][]*device), byInstance: make(map[uint32][]*device),
	}
}

// close waits until no device is polled any more.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
}

// device implements listener.
func (s *session) device() *identity { return s.id }

// iAm implements listener: it takes up the device for each entry that means it.
func (s *session) iAm(from wire.Address, i wire.IAm) {
	for _, e := range s.c.entries {
		if e.wants(from, i) {
			s.meet(e, from, i)
		}
	}
}

// meet takes up a device, or notes that it was heard of again.
func (s *session) meet(e *entry, from wire.Address, i wire.IAm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.run.Err() != nil {
		return
	}
	at := station{entry: e, instance: i.Device.Instance()}
	if d := s.devices[at]; d != nil {
		d.heard(from, i)
		return
	}
	if len(s.devices) >= maxDevices {
		if !s.crowded {
			s.crowded = true
			s.log.Warn("there are too many devices, the others are left out", slog.Int("limit", maxDevices))
		}
		return
	}
	d, err := newDevice(s, e, from, i, len(s.devices))
	if err != nil {
		s.log.Error("device cannot be polled", logAddress(from), slog.Any("error", err))
		return
	}
	s.devices[at] = d
	s.byInstance[at.instance] = append(s.byInstance[at.instance], d)
	s.log.Info("device found", logAddress(from), slog.Int("instance", int(at.instance)), slog.Int("vendor", int(i.Vendor)),
		slog.Int("maxAPDU", int(i.MaxAPDU)), slog.String("segmentation", i.Segmentation.String()))
	s.wg.Go(func() {
		if err := d.lane.Run(s.run); s.run.Err() == nil {
			s.fail(err)
		}
	})
}

// name makes a device known by its name.
func (s *session) name(d *device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := s.byName[d.info.Name]
	for _, other := range same {
		if other.instance != d.instance {
			s.log.Warn("devices have the same name", slog.String("device", d.info.Name),
				slog.Int("instance", int(d.instance)), slog.Int("other", int(other.instance)))
			break
		}
	}
	s.byName[d.info.Name] = append(same, d)
}

func (s *session) named(name string) []*device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// missing reports whether an entry's only device was not found yet.
func (s *session) missing(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range s.devices {
		if at.entry == e {
			return false
		}
	}
	return true
}

// states returns the number of devices, and those that do not answer.
func (s *session) states() (known int, silent []string) {
	for _, e := range s.c.entries {
		if e.only() && s.missing(e) {
			known++
			silent = append(silent, e.pattern.String())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		known++
		if d.silent.Load() {
			silent = append(silent, d.label())
		}
	}
	return known, silent
}
