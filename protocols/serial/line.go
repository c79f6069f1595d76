package serial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/internal/framing"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A line is the line of one device.
type line struct {
	cfg       Device
	converter UplinkConverter
	replies   framing.Replies
	answers   *itemConverter // of replies; under writing
	open      func(Device) (Port, error)
	batch     telemetry.Batch
	faulty    bool // the last message had a fault, which was logged

	writing sync.Mutex // one question at a time
	mu      sync.Mutex
	port    Port  // nil: closed
	err     error // why it is closed
}

var errClosed = errors.New("the line is not open yet")

func newLine(d Device, compatible bool, open func(Device) (Port, error)) *line {
	l := &line{cfg: d, converter: d.Converter, answers: newItemConverter(d, compatible), open: open, err: errClosed}
	if l.converter == nil {
		l.converter = newItemConverter(d, compatible)
	}
	return l
}

func (l *line) device() telemetry.Device {
	return telemetry.Device{Name: l.cfg.Name, Profile: l.cfg.Profile}
}

// run keeps the line open, and reads it, until ctx is done.
func (l *line) run(ctx context.Context, host connector.Host) {
	log := host.Logger().With(slog.String("device", l.cfg.Name), slog.String("port", l.cfg.Port))
	var b backoff.Backoff
	told := ""
	for ctx.Err() == nil {
		opened, err := l.session(ctx, host, log)
		if opened {
			b.Reset()
			told = ""
		}
		if ctx.Err() != nil {
			return
		}
		l.set(nil, err)
		if text := err.Error(); text != told {
			log.Warn("serial line failed, will open it again", slog.Any("error", err))
			told = text
		}
		if opened {
			if err := host.DeviceOffline(ctx, l.cfg.Name); err != nil && ctx.Err() == nil {
				log.Warn("device not announced as gone", slog.Any("error", err))
			}
		}
		if b.Wait(ctx) != nil {
			return
		}
	}
}

// session opens the line and reads it until it fails.
func (l *line) session(ctx context.Context, host connector.Host, log *slog.Logger) (opened bool, err error) {
	port, err := l.open(l.cfg)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = port.Close() })
	defer func() {
		if stop() {
			_ = port.Close()
		}
	}()
	l.set(port, nil)
	defer l.set(nil, errClosed)
	log.Info("serial line is open")
	host.Ready()
	if err := host.DeviceOnline(ctx, l.device()); err != nil && ctx.Err() == nil {
		log.Warn("device not announced", slog.Any("error", err))
	}
	r := framing.NewReader(port, l.cfg.framing())
	for {
		m, err := r.Next()
		if errors.Is(err, framing.ErrTooLong) {
			l.fault(log, fmt.Errorf("%w: over %d bytes without %q", err, max(l.cfg.MaxBytes, framing.DefaultMax), l.cfg.Delimiter))
			continue
		}
		if err != nil {
			return true, err
		}
		if l.replies.Offer(m) {
			continue
		}
		if err := l.uplink(ctx, host, log, m); err != nil {
			return true, err
		}
	}
}

// uplink converts a message and submits the result until it is taken. It returns
// an error only when ctx is done.
func (l *line) uplink(ctx context.Context, host connector.Host, log *slog.Logger, m []byte) error {
	l.batch.Reset()
	err := l.convert(m)
	l.fault(log, err)
	var b backoff.Backoff
	for !l.batch.Empty() {
		_, err := host.Submit(ctx, &l.batch)
		if err == nil {
			return nil
		}
		if connector.IsInvalid(err) {
			l.fault(log, err)
			return nil
		}
		if b.Wait(ctx) != nil {
			return ctx.Err()
		}
	}
	return nil
}

// convert calls the converter, of which a panic is an error.
func (l *line) convert(m []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.batch.Reset()
			err = fmt.Errorf("the converter panicked: %v", p)
		}
	}()
	return l.converter.ConvertUplink(Message{Device: l.device(), Payload: m}, &l.batch)
}

// fault logs the first of several faults, and the end of them.
func (l *line) fault(log *slog.Logger, err error) {
	switch {
	case err != nil && !l.faulty:
		log.Warn("a message does not convert as configured; what converts is used", slog.Any("error", err))
	case err == nil && l.faulty:
		log.Info("messages convert again")
	}
	l.faulty = err != nil
}

func (l *line) set(port Port, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if port == nil && errors.Is(err, errClosed) && l.err != nil {
		return // there is a better reason
	}
	l.port, l.err = port, err
}

func (l *line) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// write writes b to the line.
func (l *line) write(ctx context.Context, b []byte) error {
	l.mu.Lock()
	port, err := l.port, l.err
	l.mu.Unlock()
	if port == nil {
		return err
	}
	end := time.Now().Add(l.cfg.WriteTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := port.SetWriteDeadline(end); err != nil {
		return err
	}
	n, err := port.Write(b)
	if err != nil {
		return fmt.Errorf("%d of %d bytes were written: %w", n, len(b), err)
	}
	return nil
}
