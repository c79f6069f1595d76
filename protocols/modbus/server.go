package modbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/internal/serialport"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// DefaultMaxConnections is the default of [Server.MaxConnections].
const DefaultMaxConnections = 32

// A Server makes the gateway a Modbus server (slave), whose registers masters read
// and write. It is a device of the gateway too: what its registers hold is polled,
// reported and commanded as that of any other.
type Server struct {
	// URL is where masters find the server, in the form of [Config.URL]:
	// "tcp://:502", "tls://:802?cert=me.pem&key=me.key" (with ca, masters have to
	// show a certificate by it), "udp://:502", "rtu:///dev/ttyUSB0?baud=9600".
	URL string

	// Device is what the gateway makes of the server. Its registers and commands
	// are the addresses that exist, and any other is answered with exception 2.
	// On a serial line only requests to its Unit are answered, or to all units if
	// that is 0; on a network a request to any unit is.
	Device Device

	// Initial is what registers hold at the start. They exist, too.
	Initial []Initial

	Identity Identity

	// MaxConnections is how many masters may be connected at a time. Zero:
	// DefaultMaxConnections.
	MaxConnections int
}

// An Initial is what a register of a [Server] holds at the start.
type Initial struct {
	Register Register
	Value    telemetry.Value
}

const (
	// serverIdle is how long a connection may bring no request until it is
	// closed: its master may be gone without a word.
	serverIdle = 10 * time.Minute

	// serverWrite bounds the sending of an answer.
	serverWrite = 10 * time.Second
)

// A server is a checked Server, ready to run.
type server struct {
	url   string
	at    endpoint
	unit  uint8
	most  int
	image *image
	log   *slog.Logger
	ready func()
}

// server checks cfg, and makes its device a target.
func (c *compiler) server(cfg Server) error {
	e, err := parseEndpoint(cfg.URL, true)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s := &server{url: cfg.URL, at: e, unit: cfg.Device.Unit, most: cfg.MaxConnections, image: newImage(cfg.Identity)}
	if s.most <= 0 {
		s.most = DefaultMaxConnections
	}
	d := cfg.Device.withDefaults(c.cfg)
	d.MaxGap, d.MaxBitGap = -1, -1 // there is nothing in the gaps
	s.define(d)
	errs := []error{s.initialize(cfg.Initial)}
	if d.hasWork() {
		b := &bus{
			name: "server " + cfg.URL, connectTimeout: c.cfg.ConnectTimeout, out: make([]byte, 0, maxPDU),
			open: func(context.Context, string) (Transport, error) { return &imageTransport{image: s.image}, nil },
		}
		c.net.buses = append(c.net.buses, b)
		errs = append(errs, d.validate(), c.target(d, b, nil))
	}
	c.net.server = s
	for i, e := range errs {
		if e != nil {
			errs[i] = fmt.Errorf("server: %w", e)
		}
	}
	return errors.Join(errs...)
}

// define makes the addresses of d's registers and commands exist.
func (s *server) define(d Device) {
	for _, r := range d.Registers {
		if f, err := newField(r, r.Table); err == nil { // what is wrong is reported by the target
			s.image.define(&f)
		}
	}
	for _, list := range [...][]Command{d.RPC, d.AttributeUpdates} {
		for _, c := range list {
			if cmd, err := newCommand(c); err == nil {
				s.image.define(&cmd.field)
			}
		}
	}
}

func (s *server) initialize(list []Initial) error {
	var errs []error
	for i, v := range list {
		f, err := newField(v.Register, v.Register.Table)
		var data []byte
		if err == nil {
			data, err = f.encode(v.Value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("initial value of %s: %w", nameOf(v.Register.Key, i), err))
			continue
		}
		s.image.set(&f, data)
	}
	return errors.Join(errs...)
}

// run serves until ctx ends, and starts again after growing delays when it cannot.
func (s *server) run(ctx context.Context, host *session) {
	s.log, s.ready = host.log, host.Ready
	var wait backoff.Backoff
	down := false
	for ctx.Err() == nil {
		start := time.Now()
		err := s.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > time.Minute {
			wait.Reset()
			down = false
		}
		if !down {
			s.log.Warn("server cannot serve", slog.String("server", s.url), slog.Any("error", err))
		}
		down = true
		if wait.Wait(ctx) != nil {
			return
		}
	}
}

func (s *server) serve(ctx context.Context) error {
	switch s.at.medium {
	case mediumSerial:
		return s.serveSerial(ctx)
	case mediumUDP:
		return s.servePackets(ctx)
	default:
		return s.serveStreams(ctx)
	}
}

func (s *server) serveSerial(ctx context.Context) error {
	port, err := serialport.Open(s.at.serial)
	if err != nil {
		return err
	}
	s.ready()
	defer func() { _ = port.Close() }() // nothing is lost with it
	defer context.AfterFunc(ctx, func() { _ = port.Close() })()
	char := s.at.serial.CharTime()
	r := s.newReader(port, quietSerial)
	r.line, r.gap, r.echo = true, frameGap(s.at.baud(), char), s.at.echo
	return r.run()
}

func (s *server) servePackets(ctx context.Context) error {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp", s.at.addr)
	if err != nil {
		return err
	}
	s.ready()
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in, out := make([]byte, 2*maxASCIIFrame), make([]byte, 0, maxASCIIFrame)
	f := s.at.framing()
	for {
		n, from, err := conn.ReadFrom(in)
		if err != nil {
			return err
		}
		if out = s.packet(out[:0], f, in[:n]); len(out) > 0 {
			_, _ = conn.WriteTo(out, from) // whoever is gone does not get it
		}
	}
}

// packet appends the frame that answers the one in the datagram b.
func (s *server) packet(out []byte, f framing, b []byte) []byte {
	if s.at.frame == frameMBAP {
		frame, n, err := parseMBAP(b)
		if err != nil || n == 0 || n != len(b) {
			return out
		}
		return appendMBAP(out, frame.transaction, frame.unit, s.image.answer(nil, frame.pdu))
	}
	unit, pdu, n := f.parseRequest(b)
	if n == 0 || n != len(b) {
		return out
	}
	return f.append(out, unit, s.image.answer(nil, pdu))
}

// serveStreams serves each connection on a goroutine of its own.
func (s *server) serveStreams(ctx context.Context) error {
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.ready()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = l.Close() }()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	slots, full := make(chan struct{}, s.most), false
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
			full = false
		default:
			if !full {
				full = true
				s.log.Warn("server has all the masters that it may have", slog.String("server", s.url), slog.Int("limit", s.most))
			}
			_ = conn.Close() // refused
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			s.stream(ctx, conn)
		})
	}
}

// stream serves one connection until it ends.
func (s *server) stream(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }() // served
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if s.at.frame == frameMBAP {
		s.frames(conn)
		return
	}
	_ = s.newReader(conn, quietNetwork).run() // ends with the connection
}

// frames answers the requests of a connection of Modbus TCP.
func (s *server) frames(conn net.Conn) {
	in, out := make([]byte, 0, 4*maxADU), make([]byte, 0, maxADU)
	pdu := make([]byte, 0, maxPDU)
	for {
		frame, n, err := parseMBAP(in)
		if err != nil {
			return
		}
		if n == 0 {
			if err := conn.SetReadDeadline(time.Now().Add(serverIdle)); err != nil {
				return
			}
			got, err := conn.Read(in[len(in):cap(in)])
			if in = in[:len(in)+got]; got == 0 && err != nil {
				return
			}
			continue
		}
		pdu = s.image.answer(pdu[:0], frame.pdu)
		out = appendMBAP(out[:0], frame.transaction, frame.unit, pdu)
		in = in[:copy(in, in[n:])]
		if err := conn.SetWriteDeadline(time.Now().Add(serverWrite)); err != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
