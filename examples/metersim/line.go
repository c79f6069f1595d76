package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/internal/serialport"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

// serveLine serves on a serial line what a server on the loopback interface answers,
// until ctx ends.
func serveLine(ctx context.Context, w io.Writer, c config) error {
	s, err := modbustest.ListenRTU("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("metersim: %w", err)
	}
	defer func() { _ = s.Close() }() // at the end of the program
	if err := simulate(s.Bus, c, c.n); err != nil {
		return err
	}
	line, err := openLine(c)
	if err != nil {
		return fmt.Errorf("metersim: -rtu: %w", err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(s.URL(), "rtuovertcp://"))
	if err != nil {
		_ = line.Close() // err says more
		return fmt.Errorf("metersim: %w", err)
	}
	fmt.Fprintf(w, "%s: %d of %s\n", c.rtu, c.n, c.profile)
	return join(ctx, line, conn)
}

// openLine opens the serial line, or makes a pseudo terminal of its name.
func openLine(c config) (io.ReadWriteCloser, error) {
	if _, err := os.Stat(c.rtu); os.IsNotExist(err) {
		return openPTY(c.rtu)
	}
	return serialport.Open(serialport.Config{Path: c.rtu, Baud: c.baud})
}

// join copies between a and b until ctx or one of them ends, and closes both.
func join(ctx context.Context, a, b io.ReadWriteCloser) error {
	var once sync.Once
	var first error
	end := func(err error) {
		once.Do(func() {
			if ctx.Err() == nil {
				first = err
			}
			_, _ = a.Close(), b.Close() // one may be closed already
		})
	}
	defer context.AfterFunc(ctx, func() { end(nil) })()
	var wg sync.WaitGroup
	wg.Go(func() { _, err := io.Copy(a, b); end(err) })
	wg.Go(func() { _, err := io.Copy(b, a); end(err) })
	wg.Wait()
	return first
}
