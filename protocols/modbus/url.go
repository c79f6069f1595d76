package modbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/internal/serialport"
)

const defaultPort = "502"

// An endpoint is a parsed bus URL.
type endpoint struct {
	scheme string // tcp, rtuovertcp or rtu
	addr   string // host:port
	serial serialport.Config
	echo   bool
}

// key names the bus: endpoints of equal key are one medium.
func (e endpoint) key() string {
	if e.scheme == "rtu" {
		return "rtu://" + e.serial.Path
	}
	return e.scheme + "://" + e.addr
}

func parseURL(s string) (endpoint, error) {
	if s == "" {
		return endpoint{}, errors.New("url: missing")
	}
	u, err := url.Parse(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("url %q: %w", s, errors.Unwrap(err))
	}
	switch u.Scheme {
	case "tcp", "rtuovertcp":
		if u.Hostname() == "" || u.Path != "" || u.RawQuery != "" {
			return endpoint{}, fmt.Errorf("url %q: want %s://host:port", s, u.Scheme)
		}
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return endpoint{}, fmt.Errorf("url %q: port %s is not in 1 to 65535", s, port)
		}
		return endpoint{scheme: u.Scheme, addr: net.JoinHostPort(u.Hostname(), port)}, nil
	case "rtu":
		return parseSerial(s, u)
	default:
		return endpoint{}, fmt.Errorf("url %q: scheme %q is not tcp, rtuovertcp or rtu", s, u.Scheme)
	}
}

func parseSerial(s string, u *url.URL) (endpoint, error) {
	e := endpoint{scheme: "rtu", serial: serialport.Config{Path: u.Host + u.Path}}
	for key, values := range u.Query() {
		if err := e.set(key, values[len(values)-1]); err != nil {
			return endpoint{}, fmt.Errorf("url %q: %s: %w", s, key, err)
		}
	}
	if err := e.serial.Validate(); err != nil {
		return endpoint{}, fmt.Errorf("url %q: %w", s, err)
	}
	return e, nil
}

func (e *endpoint) set(key, value string) (err error) {
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

func (e endpoint) dial(ctx context.Context) (Transport, error) {
	if e.scheme == "rtu" {
		return e.openSerial()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, fmt.Errorf("modbus: %w", err)
	}
	if e.scheme == "rtuovertcp" {
		return newRTU(conn), nil
	}
	return newTCP(conn), nil
}

func (e endpoint) openSerial() (Transport, error) {
	port, err := serialport.Open(e.serial)
	if err != nil {
		return nil, fmt.Errorf("modbus: %w", err)
	}
	t := newRTU(port)
	t.flush = port.Flush
	t.char = e.serial.CharTime()
	baud := e.serial.Baud
	if baud == 0 {
		baud = serialport.DefaultBaud
	}
	t.gap = frameGap(baud, t.char)
	t.quiet = quietSerial
	t.echo = e.echo
	return t, nil
}
