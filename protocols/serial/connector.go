package serial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/serialport"
)

// A Connector reads devices on serial lines.
type Connector struct {
	cfg   Config
	err   error // why the configuration cannot be used
	lines map[string]*line
	order []*line
}

var (
	_ connector.Connector        = (*Connector)(nil)
	_ connector.RPCHandler       = (*Connector)(nil)
	_ connector.AttributeUpdater = (*Connector)(nil)
	_ connector.HealthReporter   = (*Connector)(nil)
)

// A Port is an open line. Read returns os.ErrDeadlineExceeded at the read
// deadline. One goroutine may read while another writes, and Close ends both.
type Port interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}

// New returns a connector for cfg. If cfg cannot be used, Run says why.
func New(cfg Config) *Connector {
	return NewOn(cfg, func(d Device) (Port, error) { return serialport.Open(d.line()) })
}

// NewOn returns a connector that opens its lines with open.
func NewOn(cfg Config, open func(Device) (Port, error)) *Connector {
	c := &Connector{cfg: cfg, lines: make(map[string]*line)}
	if err := cfg.check(); err != nil {
		c.err = fmt.Errorf("serial: configuration: %w", err)
		return c
	}
	for _, d := range cfg.Devices {
		l := newLine(d.withDefaults(), cfg.Compatible, open)
		c.lines[d.Name] = l
		c.order = append(c.order, l)
	}
	return c
}

// Run implements connector.Connector. Each line is opened again after it has
// failed, and costs the others nothing.
func (c *Connector) Run(ctx context.Context, host connector.Host) error {
	if c.err != nil {
		return connector.Permanent(c.err)
	}
	if len(c.order) == 0 {
		return connector.Permanent(errors.New("serial: no devices are configured"))
	}
	var lines sync.WaitGroup
	for _, l := range c.order {
		lines.Go(func() { l.run(ctx, host) })
	}
	lines.Wait()
	return ctx.Err()
}

// Health implements connector.HealthReporter: it is well when every line is open.
func (c *Connector) Health() connector.Health {
	for _, l := range c.order {
		if err := l.failure(); err != nil {
			return connector.Health{Detail: fmt.Sprintf("device %q: %v", l.cfg.Name, err)}
		}
	}
	return connector.Health{OK: true}
}

// line returns the line of a device.
func (c *Connector) line(device string) (*line, error) {
	l := c.lines[device]
	if l == nil {
		return nil, fmt.Errorf("serial: device %q is not configured", device)
	}
	return l, nil
}
