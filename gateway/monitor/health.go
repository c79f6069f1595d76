package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
)

var (
	errNotConnected = errors.New("the platform is not connected")
	errNotAlive     = errors.New("the state of the gateway cannot be read: it hangs")
)

// health returns why somebody should look, or nil.
func (m *Monitor) health(ctx context.Context) error {
	if err := m.Alive(ctx); err != nil {
		return err
	}
	var errs []error
	stats := m.cfg.Gateway()
	for _, name := range slices.Sorted(maps.Keys(stats.Connectors)) {
		if c := stats.Connectors[name]; c.State == gateway.Failed {
			errs = append(errs, fmt.Errorf("connector %q failed for good: %w", name, c.LastError))
		}
	}
	return errors.Join(append(errs, m.storeFailure())...)
}

// readiness returns why data cannot be given to the gateway, or nil.
func (m *Monitor) readiness() error {
	errs := []error{m.storeFailure()}
	if m.cfg.Ready != nil {
		errs = append(errs, m.cfg.Ready())
	}
	if m.cfg.NeedPlatform && m.cfg.Connected != nil && !m.cfg.Connected() {
		errs = append(errs, errNotConnected)
	}
	return errors.Join(errs...)
}

func (m *Monitor) storeFailure() error {
	if m.cfg.StoreFailure == nil {
		return nil
	}
	if err := m.cfg.StoreFailure(); err != nil {
		return fmt.Errorf("the store cannot be written: %w", err)
	}
	return nil
}

// Alive returns nil if the state of the gateway and of its store can be read
// within Config.Patience. It is meant for watchdogs. At most one look is under way
// at a time, so a gateway that hangs costs one goroutine, however often it is
// asked.
func (m *Monitor) Alive(ctx context.Context) error {
	m.mu.Lock()
	if m.probe == nil {
		m.probe = make(chan struct{})
		go m.look(m.probe)
	}
	probe := m.probe
	m.mu.Unlock()
	t := time.NewTimer(m.cfg.Patience)
	defer t.Stop()
	select {
	case <-probe:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errNotAlive
	}
}

func (m *Monitor) look(done chan struct{}) {
	defer func() {
		m.mu.Lock()
		m.probe = nil
		m.mu.Unlock()
		close(done)
	}()
	m.cfg.Gateway()
}
