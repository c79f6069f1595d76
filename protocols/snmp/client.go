package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// errTimeout is the error of a request that was not answered.
var errTimeout = errors.New("no answer")

// A client sends requests to one agent, one at a time. It opens a socket when it
// needs one, and closes it after each failure: the agent's name may resolve to
// another address then, and an agent that started again has to be met anew. It
// belongs to the goroutine of its lane.
type client struct {
	device  Device
	run     context.Context //nolint:containedctx // of Run: the socket closes with it, while those of requests end with each
	session *gosnmp.GoSNMP
	stop    func() bool
	opened  func(netip.Addr) // told of the agent's address
}

// open opens the socket, if there is none.
func (c *client) open(ctx context.Context) error {
	if c.session != nil {
		return nil
	}
	s, err := newSession(c.device)
	if err != nil {
		return err
	}
	s.Context = ctx
	if err := s.Connect(); err != nil {
		return err
	}
	conn := s.Conn
	c.session = s
	c.stop = context.AfterFunc(c.run, func() { _ = conn.Close() }) // wakes a request that waits
	if c.opened != nil {
		if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			c.opened(a.Addr().Unmap())
		}
	}
	return nil
}

func newSession(d Device) (*gosnmp.GoSNMP, error) {
	host, port, err := splitAddress(d.Address)
	if err != nil {
		return nil, err
	}
	s := &gosnmp.GoSNMP{
		Target: host, Port: port, Transport: "udp", Community: d.Community, Timeout: d.Timeout,
		MaxOids: DefaultMaxOIDs,
	}
	if d.TCP {
		s.Transport = "tcp"
	}
	switch d.Version {
	case V1:
		s.Version = gosnmp.Version1
	case V3:
		s.Version = gosnmp.Version3
		s.SecurityModel = gosnmp.UserSecurityModel
		s.MsgFlags = d.User.level()
		s.SecurityParameters = d.User.parameters()
		s.ContextName = d.User.ContextName
		if s.ContextEngineID, err = engineID(d.User.ContextEngine); err != nil {
			return nil, err
		}
	default:
		s.Version = gosnmp.Version2c
	}
	return s, nil
}

// close closes the socket, if there is one.
func (c *client) close() {
	if c.session == nil {
		return
	}
	c.stop()
	_ = c.session.Close() // nothing is lost with it
	c.session = nil
}

// do sends a request up to 1+retries times and returns the answer, which may be the
// agent's error. It waits until the deadline of ctx at most.
func (c *client) do(ctx context.Context, retries int, send func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)) (*gosnmp.SnmpPacket, error) {
	if err := c.open(ctx); err != nil {
		return nil, c.failure(ctx, err)
	}
	c.session.Context, c.session.Retries = ctx, retries
	answer, err := send(c.session)
	if err == nil && answer.PDUType != gosnmp.GetResponse {
		err = fmt.Errorf("the answer is a %s", answer.PDUType)
	}
	if err != nil {
		c.close()
		return nil, c.failure(ctx, err)
	}
	return answer, nil
}

// A lostError is the failure of a request that the agent did not answer, or not as
// an agent does.
type lostError struct{ err error }

func (e lostError) Error() string { return e.err.Error() }
func (e lostError) Unwrap() error { return e.err }

// lost reports whether err is a failure of the agent rather than of an object.
func lost(err error) bool {
	var e lostError
	return errors.As(err, &e)
}

// failure gives an error of the library its form.
func (c *client) failure(ctx context.Context, err error) error {
	var timeout net.Error
	deadline, bounded := ctx.Deadline()
	switch {
	case bounded && !time.Now().Before(deadline):
		err = fmt.Errorf("%w from %s: %w", errTimeout, c.device.Address, context.DeadlineExceeded)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, gosnmp.ErrMaxRetriesExceeded), errors.As(err, &timeout) && timeout.Timeout(),
		errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w from %s within %v", errTimeout, c.device.Address, c.device.Timeout.Round(time.Millisecond))
	case strings.Contains(err.Error(), "not authentic"), errors.Is(err, gosnmp.ErrWrongDigest), errors.Is(err, gosnmp.ErrUnknownUsername):
		err = fmt.Errorf("the user's name, protocols or passwords are not those of the agent: %w", err)
	case strings.HasPrefix(err.Error(), "recover:"): // with the stacks of all goroutines
		err = errors.New("the answer is malformed")
	}
	return lostError{err}
}
