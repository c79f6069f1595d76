package modbus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/serialport"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// The ports that are meant where an address has none: that of Modbus TCP, and that
// of Modbus/TCP Security.
const (
	defaultPort    = "502"
	defaultTLSPort = "802"
)

// The framings and media that schemes name.
const (
	frameMBAP  = "mbap"
	frameRTU   = "rtu"
	frameASCII = "ascii"

	mediumTCP    = "tcp"
	mediumTLS    = "tls"
	mediumUDP    = "udp"
	mediumSerial = "serial"
)

// An endpoint is a parsed bus URL.
type endpoint struct {
	frame  string
	medium string
	addr   string // host:port
	serial serialport.Config
	echo   bool
	tls    tlsconf.Files
}

// key names the bus: endpoints of equal key are one medium.
func (e endpoint) key() string {
	if e.medium == mediumSerial {
		return "serial://" + e.serial.Path
	}
	return e.frame + "over" + e.medium + "://" + e.addr
}

// parseScheme splits a scheme into its framing and medium.
func parseScheme(scheme string) (frame, medium string, ok bool) {
	switch scheme {
	case mediumTCP, mediumTLS, mediumUDP:
		return frameMBAP, scheme, true
	case frameRTU, frameASCII:
		return scheme, mediumSerial, true
	}
	frame, medium, ok = strings.Cut(scheme, "over")
	known := (frame == frameRTU || frame == frameASCII) && (medium == mediumTCP || medium == mediumTLS || medium == mediumUDP)
	return frame, medium, ok && known
}

func parseURL(s string) (endpoint, error) {
	return parseEndpoint(s, false)
}

// parseEndpoint parses the URL of a bus, or of a server, which needs no host.
func parseEndpoint(s string, server bool) (endpoint, error) {
	if s == "" {
		return endpoint{}, errors.New("url: missing")
	}
	u, err := url.Parse(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("url %q: %w", s, errors.Unwrap(err))
	}
	frame, medium, ok := parseScheme(u.Scheme)
	if !ok {
		return endpoint{}, fmt.Errorf("url %q: scheme %q is not tcp, tls, udp, rtuovertcp, rtu, ascii or the like", s, u.Scheme)
	}
	e := endpoint{frame: frame, medium: medium}
	if medium == mediumSerial {
		e.serial.Path = u.Host + u.Path
	} else if err := e.setAddr(s, u, server); err != nil {
		return endpoint{}, err
	}
	for key, values := range u.Query() {
		if err := e.set(key, values[len(values)-1]); err != nil {
			return endpoint{}, fmt.Errorf("url %q: %s: %w", s, key, err)
		}
	}
	if medium != mediumSerial {
		return e, nil
	}
	if err := e.serial.Validate(); err != nil {
		return endpoint{}, fmt.Errorf("url %q: %w", s, err)
	}
	return e, nil
}

func (e *endpoint) setAddr(s string, u *url.URL, server bool) error {
	if u.Hostname() == "" && !server || u.Path != "" || u.RawQuery != "" && e.medium != mediumTLS {
		return fmt.Errorf("url %q: want %s://host:port", s, u.Scheme)
	}
	port := u.Port()
	switch {
	case port != "":
	case e.medium == mediumTLS:
		port = defaultTLSPort
	default:
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && !server {
		return fmt.Errorf("url %q: port %s is not in 1 to 65535", s, port)
	}
	e.addr = net.JoinHostPort(u.Hostname(), port)
	return nil
}

func (e *endpoint) set(key, value string) error {
	if e.medium == mediumTLS {
		return e.setTLS(key, value)
	}
	return e.setSerial(key, value)
}

func (e *endpoint) setSerial(key, value string) (err error) {
	switch key {
	case "baud":
		e.serial.Baud, err = strconv.Atoi(value)
	case "data":
		e.serial.DataBits, err = strconv.Atoi(value)
	case "stop":
		e.serial.StopBits, err = strconv.Atoi(value)
	case "parity":
		e.serial.Parity, err = parseParity(value)
	case "rs485":
		e.serial.RS485, err = strconv.ParseBool(value)
	case "echo":
		e.echo, err = strconv.ParseBool(value)
	default:
		return errors.New("unknown setting; there are baud, data, parity, stop, rs485 and echo")
	}
	return err
}

func (e *endpoint) setTLS(key, value string) (err error) {
	switch key {
	case "ca":
		e.tls.CA = value
	case "cert":
		e.tls.Cert = value
	case "key":
		e.tls.Key = value
	case "dir":
		e.tls.Dir = value
	case "servername":
		e.tls.ServerName = value
	case "insecure":
		e.tls.SkipVerify, err = strconv.ParseBool(value)
	default:
		return errors.New("unknown setting; there are ca, cert, key, dir, servername and insecure")
	}
	return err
}

func parseParity(s string) (serialport.Parity, error) {
	switch strings.ToUpper(s) {
	case "N", "NONE":
		return serialport.NoParity, nil
	case "E", "EVEN":
		return serialport.EvenParity, nil
	case "O", "ODD":
		return serialport.OddParity, nil
	default:
		return 0, fmt.Errorf("%q is not N, E or O", s)
	}
}

// framing returns a framing for a medium that gives PDUs no number.
func (e endpoint) framing() framing {
	if e.frame == frameASCII {
		return newASCIIFraming()
	}
	return rtuFraming{}
}

func (e endpoint) dial(ctx context.Context) (Transport, error) {
	if e.medium == mediumSerial {
		return e.openSerial()
	}
	conn, err := e.connect(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("modbus: %w", err)
	case e.frame != frameMBAP:
		return newSerial(conn, e.framing()), nil
	case e.medium == mediumUDP:
		return newUDP(conn), nil
	default:
		return newTCP(conn), nil
	}
}

func (e endpoint) connect(ctx context.Context) (net.Conn, error) {
	if e.medium != mediumTLS {
		var d net.Dialer
		return d.DialContext(ctx, e.medium, e.addr)
	}
	cfg, err := e.tls.Config()
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{Config: cfg}
	return d.DialContext(ctx, "tcp", e.addr)
}

func (e endpoint) openSerial() (Transport, error) {
	port, err := serialport.Open(e.serial)
	if err != nil {
		return nil, fmt.Errorf("modbus: %w", err)
	}
	t := newSerial(port, e.framing())
	t.line = true
	t.flush = port.Flush
	t.char = e.serial.CharTime()
	t.gap = frameGap(e.baud(), t.char)
	t.quiet = quietSerial
	if e.frame == frameASCII {
		t.gap, t.quiet = 0, quietASCII
	}
	t.echo = e.echo
	return t, nil
}

func (e endpoint) baud() int {
	if e.serial.Baud == 0 {
		return serialport.DefaultBaud
	}
	return e.serial.Baud
}
