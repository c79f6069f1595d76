package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// The demonstration's outages: their length, and the time between them if the
// program runs until it is interrupted.
const (
	outage   = 4 * time.Second
	interval = 20 * time.Second
)

// A show plays the demonstration and draws it.
type show struct {
	g        *gateway.Gateway
	platform *tbtest.Server
	field    *field
	arrived  *ledger
	plain    bool

	down  bool
	drawn int       // lines of the table on the screen
	last  time.Time // when the last plain line was printed
}

// play runs until ctx is done or the time is over.
func (s *show) play(ctx context.Context, length time.Duration) {
	fmt.Println("Three ADW300 meters (Modbus TCP) and four sensors (MQTT) -> gateway -> ThingsBoard, all in this process.")
	s.wait(10*time.Second, func() bool {
		return s.g.Stats().Connectors["sensors"].State == gateway.Running
	})
	s.field.startSensors()
	start := time.Now()
	cutAt := min(interval, max(length*3/10, time.Second))
	if length == 0 {
		cutAt = interval / 2
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for length == 0 || time.Since(start) < length {
		select {
		case <-ctx.Done():
			s.link(true)
			return
		case <-tick.C:
		}
		since := time.Since(start)
		s.link(since < cutAt || since > cutAt+s.outage(length))
		if length == 0 && since > cutAt+outage {
			cutAt += interval
		}
		s.draw(since)
	}
	s.link(true)
}

func (s *show) outage(length time.Duration) time.Duration {
	if length == 0 {
		return outage
	}
	return min(outage, length/4)
}

func (s *show) link(up bool) {
	if s.down == !up {
		return
	}
	s.down = !up
	s.platform.SetLink(up)
}

// wait draws until cond holds, or the time is over.
func (s *show) wait(d time.Duration, cond func() bool) bool {
	start := time.Now()
	for time.Since(start) < d {
		if cond() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return cond()
}

func (s *show) draw(since time.Duration) {
	link := "up"
	if s.down {
		link = "DOWN"
	}
	arrived, _ := s.arrived.totals()
	pending := s.g.Stats().Store.Pending
	status := fmt.Sprintf("%5.1f s   link to the platform: %-4s   in the store: %5d records   arrived: %6d readings", since.Seconds(), link, pending, arrived)
	if s.plain {
		if time.Since(s.last) >= time.Second {
			s.last = time.Now()
			fmt.Println(status)
		}
		return
	}
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	lines := append([]string{"", fmt.Sprintf("%-10s %-14s %9s   %s", "device", "type", "readings", "latest")}, s.rows()...)
	lines = append(lines, status)
	for _, line := range lines {
		b.WriteString("\x1b[2K" + line + "\n")
	}
	s.drawn = len(lines)
	fmt.Print(b.String())
}

func (s *show) rows() []string {
	var rows []string
	for _, name := range meterNames {
		r := s.arrived.row(name)
		rows = append(rows, s.rowText(name, r, fmt.Sprintf("%v V  %v kW  %v kWh",
			r.values["voltage_l1"], r.values["active_power_total"], r.values["energy_active_total"])))
	}
	for _, name := range sensorNames {
		r := s.arrived.row(name)
		rows = append(rows, s.rowText(name, r, fmt.Sprintf("%v °C", r.values["temperature"])))
	}
	return rows
}

func (s *show) rowText(name string, r row, latest string) string {
	if r.count == 0 {
		latest = "-"
	}
	d, _ := s.platform.Device(name)
	return fmt.Sprintf("%-10s %-14s %9d   %s", name, d.Type, r.count, latest)
}

// summary says what was sent and what arrived, and returns an error unless
// everything did.
func (s *show) summary(complete bool) error {
	stats := s.g.Stats()
	var stored uint64
	for _, c := range stats.Connectors {
		stored += c.Stored
	}
	var messages int64
	sent := s.field.sent()
	for _, n := range sent {
		messages += n
	}
	missing := s.arrived.sensors(sent)
	arrived, repeated := s.arrived.totals()
	attributes := int(s.platform.Stats().Attributes)
	fmt.Printf("\nsensors sent %d messages: %d missing on the platform\n", messages, missing)
	fmt.Printf("gateway stored %d values: %d readings and %d attributes arrived, %d of them again after the outage; %d dropped\n",
		stored, arrived, attributes, repeated, stats.Store.Dropped)
	if !complete || missing > 0 || uint64(arrived+attributes) < stored || messages == 0 || stats.Store.Dropped > 0 {
		return errLost
	}
	fmt.Println("nothing was lost")
	return nil
}
