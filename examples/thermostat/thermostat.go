package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Thermostats is a connector for thermostats that connect over TCP and send a
// line "NAME KEY NUMBER" for each reading. A line is answered with "ok" once the
// reading is durable; a thermostat repeats what was not answered. The line
// "target NUMBER" sets a thermostat's target.
type Thermostats struct {
	Addr string

	mu    sync.Mutex
	conns map[string]net.Conn // by the name of the thermostat
}

// Run implements connector.Connector.
func (t *Thermostats) Run(ctx context.Context, host connector.Host) error {
	ctx, cancel := context.WithCancel(ctx)
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", t.Addr)
	if err != nil {
		cancel()
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait() // what Run started ends before Run does
	defer cancel()
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	host.Ready()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() { t.serve(ctx, host, conn) })
	}
}

// serve reads one thermostat's lines until its connection ends.
func (t *Thermostats) serve(ctx context.Context, host connector.Host, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var b telemetry.Batch
	for in := bufio.NewScanner(conn); in.Scan(); {
		var name, key string
		var value float64
		if _, err := fmt.Sscan(in.Text(), &name, &key, &value); err != nil {
			host.Logger().Warn("bad line", "line", in.Text(), "error", err)
			continue
		}
		t.remember(name, conn)
		b.Reset()
		b.Device(name, "thermostat")
		b.Telemetry(key, telemetry.Float(value))
		err := connector.Deliver(ctx, host, &b) // returns when the reading is durable
		if err != nil && !connector.IsInvalid(err) {
			return // not answered: the thermostat will send it again
		}
		if _, err := fmt.Fprintln(conn, "ok"); err != nil {
			return
		}
	}
}

func (t *Thermostats) remember(name string, conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		t.conns = make(map[string]net.Conn)
	}
	t.conns[name] = conn
}

// HandleRPC implements connector.RPCHandler: setTarget sets the target.
func (t *Thermostats) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	if r.Method != "setTarget" {
		return telemetry.Value{}, fmt.Errorf("no method %q", r.Method)
	}
	var target float64
	if err := json.Unmarshal(r.Params, &target); err != nil {
		return telemetry.Value{}, fmt.Errorf("setTarget takes a number: %w", err)
	}
	t.mu.Lock()
	conn := t.conns[r.Device]
	t.mu.Unlock()
	if conn == nil {
		return telemetry.Value{}, fmt.Errorf("thermostat %q is not connected", r.Device)
	}
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetWriteDeadline(d); err != nil {
			return telemetry.Value{}, err
		}
	}
	_, err := fmt.Fprintln(conn, "target", target)
	return telemetry.Float(target), err
}
