package modbus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A logbook is a logger's text.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// A host is a connectortest.Host whose log can be read.
type host struct {
	*connectortest.Host
	log logbook
}

// Logger implements connector.Host.
func (h *host) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(&h.log, nil)) }

// series returns the readings of a key of a device.
func (h *host) series(device, key string) (list []connectortest.Reading) {
	for _, r := range h.Readings(false) {
		if r.Device.Name == device && r.Key == key {
			list = append(list, r)
		}
	}
	return list
}

// last returns the latest reading of a key, as text.
func (h *host) last(device, key string) string {
	s := h.series(device, key)
	if len(s) == 0 {
		return ""
	}
	return s[len(s)-1].Value.String()
}

// run runs c until the test ends or the returned function is called.
func run(t *testing.T, c connector.Connector) (*host, func()) {
	t.Helper()
	h := &host{Host: connectortest.NewHost(t)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return h, stop
}

func words(n int) (list []modbus.Register) {
	for i := range n {
		list = append(list, modbus.Register{Key: fmt.Sprint("r", i), Address: uint16(i)})
	}
	return list
}

func device(name string, unit uint8, registers ...modbus.Register) modbus.Device {
	return modbus.Device{Name: name, Profile: "meter", Unit: unit, URL: "tcp://bus", Poll: time.Second, Registers: registers}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAHundredRegistersAreOneRequestAndOneTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		bus.Unit(1).SetWords(modbus.Holding, 50, 777)
		h, stop := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{device("m", 1, words(100)...)}}))
		pass(10*time.Second - time.Millisecond)
		stop()
		require.EqualValues(t, 10, bus.Requests())
		readings := h.Readings(false)
		require.Len(t, readings, 1000)
		for i, r := range readings {
			require.Equal(t, readings[i/100*100].TS, r.TS, "the readings of a poll have several times")
		}
		require.Equal(t, "777", h.last("m", "r50"))
		require.Equal(t, telemetry.Device{Name: "m", Profile: "meter"}, readings[0].Device)
	})
}

func TestReadingsCarryKindPolicyAndTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := &telemetry.ReportPolicy{Mode: telemetry.OnChange}
		var bus modbustest.Bus
		u := bus.Unit(7)
		u.SetFloat32(modbus.Input, 10, 230.1)
		u.SetBits(modbus.Coil, 3, true)
		d := device("m", 7,
			modbus.Register{Key: "v", Table: modbus.Input, Address: 10, Type: modbus.Float32, Report: policy},
			modbus.Register{Key: "on", Table: modbus.Coil, Address: 3},
			modbus.Register{Key: "serial", Table: modbus.Discrete, Type: modbus.Bits, Count: 4, Address: 9, Attribute: true})
		h, stop := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
		pass(500 * time.Millisecond)
		stop()
		require.Same(t, policy, h.series("m", "v")[0].Report)
		require.Equal(t, telemetry.Float32(230.1), h.series("m", "v")[0].Value)
		require.Equal(t, telemetry.Bool(true), h.series("m", "on")[0].Value)
		require.True(t, h.series("m", "serial")[0].Attribute)
		require.True(t, h.IsReady())
	})
}

func TestABadRegisterIsIsolatedReportedOnceAndCostsNothingElse(t *testing.T) {
	for _, code := range []uint8{modbus.IllegalDataAddress, modbus.IllegalDataValue} {
		synctest.Test(t, func(t *testing.T) {
			var bus modbustest.Bus
			u := bus.Unit(1)
			u.Refuse(modbus.Holding, 37, 37, code)
			h, _ := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{device("m", 1, words(100)...)}}))
			pass(500 * time.Millisecond)
			require.Len(t, h.Readings(false), 99, "the first poll lost readings")
			learnt := u.Requests()
			require.LessOrEqual(t, learnt, int64(20))
			pass(time.Minute)
			perPoll := float64(u.Requests()-learnt) / 60
			require.LessOrEqual(t, perPoll, 8.0, "what was learnt is forgotten")
			require.Equal(t, 1, h.log.count("register is refused"))
			require.Equal(t, 1, h.log.count("key=r37"))
			require.Empty(t, h.series("m", "r37"))
			require.Len(t, h.series("m", "r36"), 61)

			u.Allow()
			pass(11 * time.Minute)
			require.NotEmpty(t, h.series("m", "r37"), "the register was not tried again")
			n := u.Requests()
			pass(time.Minute)
			require.EqualValues(t, 60, u.Requests()-n, "the plan was not merged again")
		})
	}
}

func TestARegisterThatIsNotAnsweredLosesOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		u := bus.Unit(1)
		u.Refuse(modbus.Holding, 20, 20, 0)
		d := device("m", 1, modbus.Register{Key: "a", Address: 0}, modbus.Register{Key: "b", Address: 100}, modbus.Register{Key: "x", Address: 20})
		d.MaxGap, d.Poll, d.Timeout = -1, 5*time.Second, time.Second
		h, _ := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
		pass(10 * time.Minute)
		require.Len(t, h.series("m", "a"), 121)
		require.Len(t, h.series("m", "b"), 121)
		require.Len(t, h.Online(), 1)
		require.Zero(t, h.log.count("device does not answer"))
		require.Equal(t, 1, h.log.count("registers do not answer"))
		require.Less(t, u.Requests(), int64(2*121+25), "the silent register is asked in every poll")
	})
}

// Whatever is merged with it, a register that is silent is found out, and nothing else
// is lost for long: the device never goes offline.
func TestASilentRegisterInABlockLosesOnlyItself(t *testing.T) {
	for name, c := range map[string]struct {
		addrs  []int
		silent []uint16
		polls  float64 // requests of a poll at most, once it is learnt
	}{
		"among a hundred":      {span(0, 100), []uint16{37}, 2},
		"the first":            {span(0, 100), []uint16{0}, 1},
		"the last":             {span(0, 100), []uint16{99}, 1},
		"of two":               {span(0, 2), []uint16{1}, 1},
		"the first of two":     {span(0, 2), []uint16{0}, 1},
		"beside gaps":          {[]int{0, 1, 2, 10, 11, 12, 20, 21, 22}, []uint16{11}, 4},
		"in a gap":             {[]int{0, 1, 2, 10, 11, 12}, []uint16{5}, 2},
		"two of a hundred":     {span(0, 100), []uint16{20, 80}, 3},
		"in both blocks":       {append(span(0, 50), span(200, 250)...), []uint16{20, 220}, 4},
		"in one of two blocks": {append(span(0, 50), span(200, 250)...), []uint16{220}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bus modbustest.Bus
				u := bus.Unit(1)
				for _, addr := range c.silent {
					u.Refuse(modbus.Holding, addr, addr, 0)
				}
				var list []modbus.Register
				for _, addr := range c.addrs {
					list = append(list, modbus.Register{Key: fmt.Sprint("r", addr), Address: uint16(addr)})
				}
				d := device("m", 1, list...)
				d.Poll, d.Timeout = 5*time.Second, time.Second
				h, _ := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
				pass(3 * time.Minute)
				require.Zero(t, h.log.count("device does not answer"))
				require.Len(t, h.Online(), 1)
				missing := 0
				for _, r := range list {
					if slices.Contains(c.silent, r.Address) {
						missing++
						require.Empty(t, h.series("m", r.Key))
						continue
					}
					require.GreaterOrEqual(t, len(h.series("m", r.Key)), 15, "%s is lost for longer", r.Key)
				}
				require.Equal(t, missing, h.log.count("registers do not answer"), "each is reported once")
				n := u.Requests()
				pass(10 * time.Minute)
				perPoll := float64(u.Requests()-n) / 120
				require.LessOrEqual(t, perPoll, c.polls+0.3, "what was learnt is forgotten, or the others are not merged")
				require.Equal(t, missing, h.log.count("registers do not answer"))

				u.Allow()
				pass(75 * time.Minute)
				for _, r := range list {
					if slices.Contains(c.silent, r.Address) {
						require.NotEmpty(t, h.last("m", r.Key), "%s is not tried again", r.Key)
					}
				}
				n = u.Requests()
				pass(time.Minute)
				require.LessOrEqual(t, float64(u.Requests()-n)/12, 2.0, "the plan is not merged again")
			})
		})
	}
}

func span(from, to int) (list []int) {
	for a := from; a < to; a++ {
		list = append(list, a)
	}
	return list
}

// A device that cannot answer long requests at all is asked in shorter ones.
func TestABlockThatIsTooLongForTheDeviceStaysSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		u := bus.Unit(1)
		u.Limit(40)
		d := device("m", 1, words(100)...)
		d.Poll, d.Timeout = 5*time.Second, time.Second
		h, _ := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
		pass(10 * time.Minute)
		require.Zero(t, h.log.count("device does not answer"))
		for i := range 100 {
			require.Greater(t, len(h.series("m", fmt.Sprint("r", i))), 110)
		}
		require.Zero(t, h.log.count("registers do not answer"), "each of them does")
		pass(2 * time.Hour)
		require.Greater(t, len(h.series("m", "r0")), 1440+90, "trying again costs readings all the time")
	})
}

func TestADeviceIsOfflineAfterThreeFailuresAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		bus.Unit(1)
		dead := bus.Unit(2)
		c := modbus.New(modbus.Config{Open: bus.Open, Timeout: 200 * time.Millisecond, Devices: []modbus.Device{
			device("alive", 1, words(10)...), device("flaky", 2, words(10)...),
		}})
		h, _ := run(t, c)
		pass(3 * time.Second)
		require.Len(t, h.Online(), 2)
		require.Equal(t, connector.Health{OK: true}, c.Health())

		dead.SetSilent(true)
		pass(time.Minute)
		require.Len(t, h.Online(), 1)
		require.Equal(t, "1 of 2 devices do not answer: flaky", c.Health().Detail)
		require.False(t, c.Health().OK)

		dead.SetSilent(false)
		pass(80 * time.Second)
		require.Len(t, h.Online(), 2)
		require.True(t, c.Health().OK)
		require.Equal(t, 1, h.log.count("device does not answer"))
		require.Equal(t, 3, h.log.count("device answers"))
		require.InDelta(t, 144, len(h.series("alive", "r0")), 1, "the other device lost cycles")
	})
}

func TestABusThatIsUnreachableIsLeftAloneAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good, bad modbustest.Bus
		good.Unit(1)
		bad.Unit(1)
		bad.SetUnreachable(errors.New("connection refused"))
		open := func(ctx context.Context, url string) (modbus.Transport, error) {
			if strings.Contains(url, "bad") {
				return bad.Open(ctx, url)
			}
			return good.Open(ctx, url)
		}
		d1, d2 := device("good", 1, words(3)...), device("bad", 1, words(3)...)
		d2.URL = "tcp://bad:502"
		c := modbus.New(modbus.Config{Open: open, Devices: []modbus.Device{d1, d2}})
		h, _ := run(t, c)
		pass(10 * time.Minute)
		require.Less(t, bad.Opened(), int64(25), "the connection is retried without a pause")
		require.Equal(t, 1, h.log.count("bus is not reachable"))
		require.InDelta(t, 600, len(h.series("good", "r0")), 1)

		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "bad", Method: "r0"})
		require.ErrorContains(t, err, "connection refused")

		bad.SetUnreachable(nil)
		pass(75 * time.Second)
		require.NotEmpty(t, h.series("bad", "r0"))
		require.Equal(t, 1, h.log.count("bus is reachable"))
		require.Len(t, h.Online(), 2)
	})
}

func TestALostConnectionLosesNoCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		bus.Unit(1)
		h, _ := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{device("m", 1, words(3)...)}}))
		for range 5 {
			pass(2 * time.Second)
			bus.Disconnect()
		}
		pass(500 * time.Millisecond)
		require.Len(t, h.series("m", "r0"), 11)
		require.EqualValues(t, 5, bus.Opened())
		require.Zero(t, h.log.count("does not answer"))
	})
}

func TestRatiosMultiplyOnceTheyWereRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		u := bus.Unit(1)
		u.SetWords(modbus.Holding, 0, 2301)
		u.SetWords(modbus.Holding, 200, 40)
		d := device("m", 1,
			modbus.Register{Key: "voltage", Address: 0, Scale: 0.1, Times: []string{"pt"}},
			modbus.Register{Key: "pt", Address: 200})
		h, stop := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
		pass(1500 * time.Millisecond)
		stop()
		require.Len(t, h.series("m", "voltage"), 1, "the ratio was not known in the first poll")
		require.Equal(t, telemetry.Float(9204), h.series("m", "voltage")[0].Value)
	})
}

func TestAGatewayThatRejectsEndsRunAndInvalidReadingsDoNot(t *testing.T) {
	var bus modbustest.Bus
	bus.Unit(1)
	d := device("m", 1, words(3)...)
	d.Poll = 10 * time.Millisecond
	c := modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}})
	h := connectortest.NewHost(t)
	h.Fail(func() error { return errors.New("disk full") }, nil)
	require.ErrorContains(t, c.Run(t.Context(), h), "disk full")

	rejected := 0
	h.Fail(func() error { rejected++; return connector.Invalid(errors.New("too long")) }, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.NoError(t, c.Run(ctx, h))
	require.Greater(t, rejected, 3)
}

func TestAWrongConfigurationIsPermanentAndListsEverything(t *testing.T) {
	cfg := modbus.Config{URL: "rtu:///dev/ttyS9", Devices: []modbus.Device{
		{Name: "a", Unit: 0, Registers: words(1)},
		{Name: "b", Unit: 1, URL: "rtu:///dev/ttyS7?baud=1200", Registers: words(1)},
		{Name: "c", Unit: 2, Registers: []modbus.Register{{Key: "x", Address: 65535, Type: modbus.Int32}, {Key: "y", Table: modbus.Coil, Type: modbus.Int32}}},
		{Name: "d", Unit: 3, URL: "sctp://x:1", Registers: words(1)},
		{Name: "e", Unit: 3},
		{Name: "f", Unit: 3, Err: errors.New("broken")},
		{Name: "g", Unit: 3, Registers: []modbus.Register{{Key: "x", Times: []string{"nothing"}}, {Key: "z", Table: modbus.Input, Writable: true}}},
		{Name: "h", Unit: 3, URL: "rtu:///dev/ttyS8?boud=1", Registers: words(1)},
	}}
	err := modbus.New(cfg).Run(t.Context(), connectortest.NewHost(t))
	require.True(t, connector.IsPermanent(err))
	for _, want := range []string{
		"device a: unit: 0 is not in 1 to 247",
		"device c: register x: address: 65535 and 1 after it go beyond 65535",
		"device c: register y: type: a coil holds bits",
		`device d: url "sctp://x:1": scheme "sctp"`,
		"device e: registers: none",
		"device f: broken",
		`device g: register x: times: "nothing"`,
		"device g: register z: writable: a input register cannot be written",
		`device h: url "rtu:///dev/ttyS8?boud=1": boud: unknown setting`,
	} {
		require.ErrorContains(t, err, want)
	}
	cfg.Devices = cfg.Devices[1:2]
	cfg.Devices = append(cfg.Devices, modbus.Device{Name: "x", Unit: 2, URL: "rtu:///dev/ttyS7", Registers: words(1)})
	require.ErrorContains(t, cfg.Validate(), "set up differently by another device")
}

func TestPollingAllocatesNothing(t *testing.T) {
	var bus modbustest.Bus
	bus.Unit(1)
	c := modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{{
		Name: "m", URL: "tcp://x", Unit: 1, Poll: time.Microsecond, Registers: append(words(100),
			modbus.Register{Key: "text", Type: modbus.String, Address: 100, Count: 4},
			modbus.Register{Key: "coils", Table: modbus.Coil, Type: modbus.Bits, Count: 9}),
	}}})
	h := &counter{Host: connectortest.NewHost(t), polled: make(chan int)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, h) }()
	for range 10 {
		require.Equal(t, 102, <-h.polled)
	}
	allocs := testing.AllocsPerRun(500, func() { <-h.polled })
	cancel()
	require.NoError(t, <-done)
	if !raceDetector { // which allocates by itself
		require.Zero(t, allocs)
	}
}

// A counter is a host that keeps nothing.
type counter struct {
	*connectortest.Host
	polled chan int
}

// Submit implements connector.Sink.
func (h *counter) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	select {
	case h.polled <- b.Len():
	case <-ctx.Done():
	}
	return connector.Receipt{}, nil
}
