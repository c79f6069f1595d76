package modbus_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A printer is a host that passes on the first reading of each batch as text.
type printer struct {
	connector.Host
	lines chan string
}

func newPrinter() *printer { return &printer{lines: make(chan string)} }

// Ready implements connector.Host.
func (p *printer) Ready() {}

// Logger implements connector.Host.
func (p *printer) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// DeviceOnline implements connector.Host.
func (p *printer) DeviceOnline(context.Context, telemetry.Device) error { return nil }

// Submit implements connector.Sink.
func (p *printer) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	g := b.Groups()[0]
	select {
	case p.lines <- fmt.Sprint(g.Device.Name, " ", g.Telemetry[0].Key, " ", g.Telemetry[0].Value):
	case <-ctx.Done():
	}
	return connector.Receipt{}, nil
}
