package snmp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	trapBuffer  = 4 << 20 // of the socket, for bursts
	maxPending  = 256     // informs that wait for being durable
	maxRepeated = 512     // informs that are kept in mind, since senders repeat them
	maxStrange  = 1000    // senders whose notifications were refused, with one warning each
)

// A trapServer receives notifications.
type trapServer struct {
	cfg         Traps
	communities []string
	users       []User
	engine      string // empty: new for each Run
	mappings    []trapMap

	mu     sync.Mutex
	places map[netip.Addr][]*target
	err    error // why nothing is received

	// The rest belongs to run.
	host    *session
	decoder *trapDecoder
	batch   telemetry.Batch
	strange map[netip.Addr]bool
	seen    map[repetition]connector.Receipt
	order   []repetition
	pending chan acknowledgement
}

// A repetition is what an inform and its repetitions have in common.
type repetition struct {
	from   netip.AddrPort
	id     uint32
	trap   string
	uptime uint32
}

// An acknowledgement is sent when a receipt is durable.
type acknowledgement struct {
	receipt connector.Receipt
	message []byte
	to      netip.AddrPort
}

func newTrapServer(cfg Traps, c Config) (*trapServer, error) {
	s := &trapServer{cfg: cfg, communities: cfg.Communities, users: slices.Clone(cfg.Users)}
	if s.cfg.Address == "" {
		s.cfg.Address = DefaultTrapAddress
	}
	var errs []error
	for _, u := range cfg.Users {
		if err := u.validate(); err != nil {
			errs = append(errs, prefixed(fmt.Sprintf("user %q: ", u.Name), err)...)
		}
	}
	for _, d := range c.Devices {
		switch {
		case d.Version == V3 && d.User != nil:
			s.users = append(s.users, *d.User)
		case d.Version != V3 && len(cfg.Communities) == 0:
			s.communities = append(s.communities, d.withDefaults(c).Community)
		}
	}
	if _, _, err := net.SplitHostPort(s.cfg.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	var err error
	if s.engine, err = engineID(cfg.EngineID); err != nil {
		errs = append(errs, err)
	}
	for i, m := range cfg.Mappings {
		compiled, err := newTrapMap(m, c.Names)
		if err != nil {
			errs = append(errs, prefixed(fmt.Sprintf("mapping %d: ", i), err)...)
		}
		s.mappings = append(s.mappings, compiled)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if _, err := newTrapDecoder(s.communities, s.users, s.engine); err != nil {
		return nil, err
	}
	return s, nil
}

// begin forgets what an earlier Run left behind.
func (s *trapServer) begin(targets []*target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = make(map[netip.Addr][]*target)
	s.err = nil
	for _, t := range targets {
		host, _, _ := splitAddress(t.device.Address) // was checked
		if a, err := netip.ParseAddr(host); err == nil {
			s.places[a.Unmap()] = append(s.places[a.Unmap()], t)
		}
	}
}

// locate notes the address that a device's name has now.
func (s *trapServer) locate(t *target, a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.places[a], t) {
		return
	}
	for at, list := range s.places {
		s.places[at] = slices.DeleteFunc(list, func(o *target) bool { return o == t })
	}
	s.places[a] = append(s.places[a], t)
}

// trouble returns why no notification is received, or nil.
func (s *trapServer) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *trapServer) setTrouble(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.err == nil) != (err == nil)
	s.err = err
	return changed
}

// run receives until ctx is done. It listens anew, after growing delays, when it
// cannot.
func (s *trapServer) run(ctx context.Context, host *session) {
	s.host = host
	s.strange = make(map[netip.Addr]bool)
	s.seen, s.order = make(map[repetition]connector.Receipt), nil
	engine := s.engine
	if engine == "" {
		engine = newEngineID()
	}
	var err error
	if s.decoder, err = newTrapDecoder(s.communities, s.users, engine); err != nil { // was tried
		host.fail(err)
		return
	}
	var delay backoff.Backoff
	for ctx.Err() == nil {
		err := s.listen(ctx, delay.Reset)
		if ctx.Err() != nil {
			return
		}
		if s.setTrouble(err) {
			host.log.Warn("traps cannot be received", slog.String("address", s.cfg.Address), slog.Any("error", err))
		}
		_ = delay.Wait(ctx) // the loop looks at ctx
	}
}

// listen receives until ctx is done or the socket fails.
func (s *trapServer) listen(ctx context.Context, listening func()) error {
	var lc net.ListenConfig
	packets, err := lc.ListenPacket(ctx, "udp", s.cfg.Address)
	if err != nil {
		return err
	}
	conn, ok := packets.(*net.UDPConn)
	if !ok {
		return errors.New("not a UDP socket")
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetReadBuffer(trapBuffer) // the system's limit will do
	listening()
	s.setTrouble(nil)
	s.host.log.Info("traps are received", slog.String("address", conn.LocalAddr().String()))
	s.host.Ready()

	s.pending = make(chan acknowledgement, maxPending)
	var wg sync.WaitGroup
	wg.Go(func() { s.acknowledge(ctx, conn, s.pending) })
	defer wg.Wait()
	defer close(s.pending)
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		s.receive(ctx, conn, buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// acknowledge answers informs in the order in which they came, each when it is
// durable.
func (s *trapServer) acknowledge(ctx context.Context, conn *net.UDPConn, pending <-chan acknowledgement) {
	for a := range pending {
		if err := a.receipt.Wait(ctx); err != nil {
			if ctx.Err() == nil {
				s.host.fail(err)
			}
			continue
		}
		_, _ = conn.WriteToUDPAddrPort(a.message, a.to) // the sender repeats what is not answered
	}
}

// receive handles one message.
func (s *trapServer) receive(ctx context.Context, conn *net.UDPConn, msg []byte, from netip.AddrPort) {
	p, report, err := s.decoder.decode(msg)
	if report != nil {
		_, _ = conn.WriteToUDPAddrPort(report, from) // the sender asks again
		return
	}
	var n notification
	if err == nil {
		n, err = parseNotification(p)
	}
	if err != nil {
		s.refuse(from, err)
		return
	}
	inform := p.PDUType == gosnmp.InformRequest
	this := repetition{from: from, id: p.RequestID, trap: n.trap, uptime: n.uptime}
	receipt, again := s.seen[this]
	if !inform || !again {
		if receipt, err = s.submit(ctx, p, n, from); err != nil {
			return
		}
	}
	if !inform {
		return
	}
	s.remember(this, receipt)
	answer, err := s.decoder.answer(p)
	if err != nil {
		s.refuse(from, err)
		return
	}
	select {
	case s.pending <- acknowledgement{receipt, answer, from}:
	case <-ctx.Done():
	}
}

// submit reports n. What cannot be reported at all counts as reported.
func (s *trapServer) submit(ctx context.Context, p *gosnmp.SnmpPacket, n notification, from netip.AddrPort) (connector.Receipt, error) {
	device, ok := s.device(p, n, from.Addr())
	if !ok {
		s.refuse(from, errors.New("it comes from no device of the configuration"))
		return connector.Receipt{}, nil
	}
	s.batch.Reset()
	s.batch.Device(device.Name, device.Profile)
	s.report(&s.batch, n, time.Now().UnixMilli())
	if s.batch.Empty() {
		return connector.Receipt{}, nil
	}
	receipt, err := s.host.Submit(ctx, &s.batch)
	switch {
	case connector.IsInvalid(err):
		s.host.log.Warn("trap was rejected", slog.String("device", device.Name), slog.String("trap", n.trap), slog.Any("error", err))
		return connector.Receipt{}, nil
	case err != nil && ctx.Err() == nil:
		s.host.fail(err)
	}
	return receipt, err
}

// device returns the device that a notification is of.
func (s *trapServer) device(p *gosnmp.SnmpPacket, n notification, from netip.Addr) (telemetry.Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.places[from]
	if origin := s.places[n.origin.Unmap()]; len(origin) > 0 && n.origin.IsValid() && len(list) == 0 {
		list = origin
	}
	for _, t := range list {
		if t.speaks(p) {
			return t.profile(), true
		}
	}
	if len(list) > 0 {
		return list[0].profile(), true
	}
	if s.cfg.Unknown == "" {
		return telemetry.Device{}, false
	}
	address := from.String()
	if n.origin.IsValid() && !n.origin.IsUnspecified() {
		address = n.origin.String()
	}
	return telemetry.Device{Name: strings.ReplaceAll(s.cfg.Unknown, "${address}", address), Profile: s.cfg.UnknownProfile}, true
}

// speaks reports whether p has the community or the user of t.
func (t *target) speaks(p *gosnmp.SnmpPacket) bool {
	if sp, ok := p.SecurityParameters.(*gosnmp.UsmSecurityParameters); ok && p.Version == gosnmp.Version3 {
		return t.device.User != nil && t.device.User.Name == sp.UserName
	}
	return t.device.Version != V3 && t.device.Community == p.Community
}

// remember keeps an inform in mind for a while.
func (s *trapServer) remember(r repetition, receipt connector.Receipt) {
	if _, again := s.seen[r]; again {
		return
	}
	if len(s.order) >= maxRepeated {
		delete(s.seen, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	s.seen[r], s.order = receipt, append(s.order, r)
}

// refuse logs once for each sender that a notification is not accepted.
func (s *trapServer) refuse(from netip.AddrPort, err error) {
	key := from.Addr()
	if s.strange[key] || len(s.strange) >= maxStrange {
		return
	}
	s.strange[key] = true
	s.host.log.Warn("trap is refused", slog.String("from", from.Addr().String()), slog.Any("error", err))
}
