package serial_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/serial"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A bench is the far end of the lines.
type bench struct {
	mu   sync.Mutex
	far  map[string]net.Conn // by device
	fail error               // of open
	opened,
	failed int
	queue  []string // for the first line that opens
	echoes bool
}

func newBench() *bench { return &bench{far: make(map[string]net.Conn)} }

func (b *bench) open(d serial.Device) (serial.Port, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		b.failed++
		return nil, b.fail
	}
	near, far := net.Pipe()
	b.far[d.Name] = far
	b.opened++
	go func(lines []string, echoes bool) {
		for _, l := range lines {
			_, _ = io.WriteString(far, l)
		}
		if !echoes {
			return
		}
		buf := make([]byte, 100)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			_, _ = far.Write(bytes.ToUpper(buf[:n]))
		}
	}(b.queue, b.echoes)
	return near, nil
}

// line returns the far end of a device's line, once it is open.
func (b *bench) line(t *testing.T, host *connectortest.Host, device string) net.Conn {
	t.Helper()
	var far net.Conn
	host.Eventually(t, "the line is open", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		far = b.far[device]
		return far != nil
	})
	return far
}

// start runs a connector until the test ends.
func start(t *testing.T, b *bench, cfg serial.Config) (*serial.Connector, *connectortest.Host) {
	t.Helper()
	host := connectortest.NewHost(t)
	c := serial.NewOn(cfg, b.open)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	return c, host
}

func scale(name string) serial.Device {
	return serial.Device{
		Name: name, Port: "/dev/" + name, Delimiter: "\r\n",
		Timeseries: []serial.Datapoint{{Key: "w", Type: serial.Float, Part: serial.Part{FromDelimiter: "W=", UntilDelimiter: "kg"}}},
		Updates:    []serial.AttributeUpdate{{Key: "tare", Format: "TARE ${tare};${attributeKey}\r\n"}},
		RPCs: []serial.RPC{
			{Method: "version", WithReply: true, Reply: serial.Part{FromDelimiter: "V"}},
			{Method: "beep", Params: serial.Int},
		},
	}
}

func values(host *connectortest.Host, key string) (list []string) {
	for _, r := range host.Readings(false) {
		if r.Key == key {
			list = append(list, r.Value.String())
		}
	}
	return list
}

func TestMessagesBecomeReadings(t *testing.T) {
	b := newBench()
	_, host := start(t, b, serial.Config{Devices: []serial.Device{scale("a"), scale("b")}})
	far := b.line(t, host, "a")
	for _, s := range []string{"noise W= 1.5 kg\r", "\nW=2kg\r\nW=x kg\r\nno weight\r\nW=3", " kg\r\n"} {
		_, err := io.WriteString(far, s)
		require.NoError(t, err)
	}
	host.Eventually(t, "all readings", func() bool { return len(values(host, "w")) == 3 })
	assert.Equal(t, []string{"1.5", "2.0", "3.0"}, values(host, "w"))
	host.Eventually(t, "both devices are announced", func() bool { return len(host.Online()) == 2 })
}

// Faults are logged once, however many there are, and so is their end.
func TestFaultsAreLoggedOnce(t *testing.T) {
	var log lockedBuffer
	b := newBench()
	host := logHost{connectortest.NewHost(t), slog.New(slog.NewTextHandler(&log, nil))}
	c := serial.NewOn(serial.Config{Devices: []serial.Device{scale("a")}}, b.open)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	far := b.line(t, host.Host, "a")
	_, err := io.WriteString(far, strings.Repeat("W=heavy kg\r\n", 50)+"W=1kg\r\nW=2kg\r\n")
	require.NoError(t, err)
	host.Eventually(t, "all readings", func() bool { return len(values(host.Host, "w")) == 2 })
	cancel()
	<-done
	assert.Equal(t, 1, strings.Count(log.String(), `key \"w\": \"heavy\" is no float`))
	assert.Equal(t, 1, strings.Count(log.String(), "messages convert again"))
}

type logHost struct {
	*connectortest.Host
	log *slog.Logger
}

func (h logHost) Logger() *slog.Logger { return h.log }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestALineIsOpenedAgainAndCostsNoOther(t *testing.T) {
	b := newBench()
	c, host := start(t, b, serial.Config{Devices: []serial.Device{scale("a"), scale("b")}})
	first := b.line(t, host, "a")
	other := b.line(t, host, "b")
	host.Eventually(t, "it is well", func() bool { return c.Health().OK })
	b.mu.Lock()
	b.fail = errors.New("unplugged")
	b.mu.Unlock()
	require.NoError(t, first.Close())
	host.Eventually(t, "it is not well", func() bool { h := c.Health(); return !h.OK && strings.Contains(h.Detail, `"a"`) })
	_, err := io.WriteString(other, "W=5kg\r\n")
	require.NoError(t, err)
	host.Eventually(t, "the other goes on", func() bool { return len(values(host, "w")) == 1 })
	b.mu.Lock()
	b.fail = nil
	delete(b.far, "a")
	b.mu.Unlock()
	_, err = io.WriteString(b.line(t, host, "a"), "W=6kg\r\n")
	require.NoError(t, err)
	host.Eventually(t, "it is back", func() bool { return len(values(host, "w")) == 2 })
}

// What the store does not take is not lost: the line waits.
func TestNothingIsLostWhileTheStoreFails(t *testing.T) {
	b := newBench()
	_, host := start(t, b, serial.Config{Devices: []serial.Device{scale("a")}})
	host.Fail(func() error { return errors.New("full") }, nil)
	far := b.line(t, host, "a")
	go func() { _, _ = io.WriteString(far, "W=1kg\r\nW=2kg\r\n") }()
	time.Sleep(20 * time.Millisecond)
	host.Fail(nil, nil)
	host.Eventually(t, "both readings", func() bool { return len(values(host, "w")) == 2 })
}

func TestAttributesAndCallsReachTheLine(t *testing.T) {
	b := newBench()
	c, host := start(t, b, serial.Config{Devices: []serial.Device{scale("a")}})
	far := b.line(t, host, "a")
	host.Eventually(t, "it is ready", host.IsReady)
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, len(want))
		require.NoError(t, far.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err := io.ReadFull(far, buf)
		require.NoError(t, err)
		assert.Equal(t, want, string(buf))
	}
	result := make(chan error, 1)
	go func() {
		result <- c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "a", Attributes: []telemetry.Point{
			{Key: "other", Value: telemetry.Int(1)}, {Key: "tare", Value: telemetry.Float(1.5)},
		}})
	}()
	expect("TARE 1.5;tare\r\n")
	require.NoError(t, <-result)

	go func() {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "a", Method: "beep", Params: json.RawMessage(`300`)})
		result <- err
	}()
	expect("\x01\x2c")
	require.NoError(t, <-result)

	var got telemetry.Value
	go func() {
		v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "a", Method: "version", Params: json.RawMessage(`"?\r\n"`)})
		got = v
		result <- err
	}()
	expect("?\r\n")
	_, err := io.WriteString(far, "V 1.2 W=7kg\r\n")
	require.NoError(t, err)
	require.NoError(t, <-result)
	assert.Equal(t, "1.2 W=7kg", got.String())
	host.Eventually(t, "the answer is data as well", func() bool { return len(values(host, "w")) == 1 })
}

func TestCommandsThatFailSayWhy(t *testing.T) {
	b := newBench()
	b.fail = errors.New("unplugged")
	c, host := start(t, b, serial.Config{Devices: []serial.Device{scale("a")}})
	host.Eventually(t, "it has tried", func() bool { h := c.Health(); return strings.Contains(h.Detail, "unplugged") })
	for want, r := range map[string]connector.RPCRequest{
		"unplugged":                 {Device: "a", Method: "beep", Params: json.RawMessage(`1`)},
		`method "dance"`:            {Device: "a", Method: "dance"},
		`device "z" is not`:         {Device: "z", Method: "beep"},
		`"x" is not a whole number`: {Device: "a", Method: "beep", Params: json.RawMessage(`"x"`)},
		"not JSON":                  {Device: "a", Method: "beep", Params: json.RawMessage(`{`)},
	} {
		_, err := c.HandleRPC(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	err := c.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "a", Attributes: []telemetry.Point{{Key: "tare", Value: telemetry.Int(1)}}})
	require.ErrorContains(t, err, "unplugged")
}

func TestParametersAreEncodedInAsFewBytesAsTheyTake(t *testing.T) {
	for _, c := range []struct {
		t      serial.ValueType
		params string
		little bool
		want   string
	}{
		{serial.Int, "0", false, "\x00"},
		{serial.Int, "255", false, "\xff"},
		{serial.Int, `"256"`, false, "\x01\x00"},
		{serial.Int, "258", true, "\x02\x01"},
		{serial.Int, "-1", false, "\xff"},
		{serial.Int, "-128", false, "\x80"},
		{serial.Int, "-129", false, "\xff\x7f"},
		{serial.Int, "18446744073709551615", false, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{serial.Float, "1.5", false, "\x3f\xc0\x00\x00"},
		{serial.Float, "0.1", false, "\x3f\xb9\x99\x99\x99\x99\x99\x9a"},
		{serial.Text, `"a\nb"`, false, "a\nb"},
		{serial.Text, `{"a": 1}`, false, `{"a": 1}`},
		{serial.Text, `null`, false, ""},
		{serial.Text, ``, false, ""},
	} {
		got, err := serial.Encode(c.t, c.params, c.little)
		require.NoError(t, err)
		assert.Equal(t, c.want, string(got), "%v of %s", c.t, c.params)
	}
	for _, params := range []string{"1.5", "36893488147419103232", `"x"`, "true"} {
		_, err := serial.Encode(serial.Int, params, false)
		require.Error(t, err, params)
	}
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		NoAck: true,
		New: func(*testing.T) (connector.Connector, connectortest.Source) {
			s := &source{bench: newBench()}
			d := serial.Device{Name: "a", Port: "x", Timeseries: []serial.Datapoint{{Key: "id", Type: serial.Int}}, RPCs: []serial.RPC{{Method: "ask"}}}
			return serial.NewOn(serial.Config{Devices: []serial.Device{d}}, s.open), s
		},
		RPC: []connector.RPCRequest{{Device: "a", Method: "ask", Params: json.RawMessage(`"x"`)}},
	})
}

// A source repeats what it sends at each opening of the line, since it cannot be
// told what has arrived.
type source struct {
	*bench
	ids []string
}

func (s *source) open(d serial.Device) (serial.Port, error) {
	s.mu.Lock()
	s.queue, s.echoes = append([]string(nil), s.ids...), true
	s.mu.Unlock()
	return s.bench.open(d)
}

func (s *source) Send(id int64) {
	s.mu.Lock()
	line := strconv.FormatInt(id, 10) + "\n"
	s.ids = append(s.ids, line)
	far := s.far["a"]
	s.mu.Unlock()
	if far != nil {
		go func() { _, _ = io.WriteString(far, line) }()
	}
}

func (s *source) Acked() []int64 { return nil }

// Whatever comes on a line, and whatever part of it is asked for, there is no panic,
// and what is out of range is empty.
func FuzzConvert(f *testing.F) {
	f.Add([]byte("W=1.5 kg\r\n"), "W=", "kg", 2, -1, uint8(2))
	f.Fuzz(func(t *testing.T, m []byte, from, until string, lo, hi int, kind uint8) {
		for _, compatible := range []bool{false, true} {
			part := serial.Part{FromDelimiter: from, UntilDelimiter: until, FromByte: lo, ToByte: &hi}
			c := serial.New(serial.Config{Compatible: compatible, Devices: []serial.Device{{
				Name: "a", Port: "x", Timeseries: []serial.Datapoint{{Key: "k", Type: serial.ValueType(kind % 6), Part: part}},
			}}})
			out, err := serial.Convert(c, m)
			if err == nil && !compatible && out.Empty() {
				t.Errorf("%q gives neither a value nor an error", m)
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(`{"devices":[{"name":"a","port":"x","telemetry":[{"key":"k","toByte":-1}],"serverSideRpc":[{"method":"m","responseToByte":"0x3"}]}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		if cfg, err := serial.Load(doc, nil); err == nil {
			assert.NotNil(t, serial.New(cfg))
		}
	})
}
