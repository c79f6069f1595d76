package modbus_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	simonvetter "github.com/simonvetter/modbus"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
)

func serve(t *testing.T, listen func(string) (*modbustest.Server, error)) *modbustest.Server {
	t.Helper()
	s, err := listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func dial(t *testing.T, url string) modbus.Transport {
	t.Helper()
	tr, err := modbus.Dial(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

// read reads count holding registers.
func read(tr modbus.Transport, unit uint8, addr, count uint16, timeout time.Duration) ([]byte, error) {
	pdu := binary.BigEndian.AppendUint16([]byte{3}, addr)
	pdu = binary.BigEndian.AppendUint16(pdu, count)
	response, err := tr.Exchange(context.Background(), unit, pdu, timeout)
	if err != nil {
		return nil, err
	}
	if response[0] != 3 {
		return nil, fmt.Errorf("exception %d", response[1])
	}
	return response[2:], nil
}

func listeners() map[string]func(string) (*modbustest.Server, error) {
	return map[string]func(string) (*modbustest.Server, error){"tcp": modbustest.Listen, "rtuovertcp": modbustest.ListenRTU}
}

func TestALateAnswerIsNeverTakenForTheNext(t *testing.T) {
	for name, listen := range listeners() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, listen)
			u := s.Unit(1)
			u.SetWords(modbus.Holding, 0, 111, 222)
			s.Unit(2).SetWords(modbus.Holding, 0, 333)
			tr := dial(t, s.URL())
			u.SetDelay(400 * time.Millisecond)
			_, err := read(tr, 1, 0, 1, 100*time.Millisecond)
			require.ErrorIs(t, err, modbus.ErrTimeout)
			u.SetDelay(0)
			data, err := read(tr, 2, 0, 1, 2*time.Second)
			require.NoError(t, err)
			require.Equal(t, []byte{333 >> 8, 333 & 0xFF}, data, "the answer of another unit")
			data, err = read(tr, 1, 1, 1, 2*time.Second)
			require.NoError(t, err)
			require.Equal(t, []byte{0, 222}, data, "the answer of the request that timed out")
			require.EqualValues(t, 1, s.Opened())
		})
	}
}

func TestAnExchangeEndsWithItsContextAndWithClose(t *testing.T) {
	for name, listen := range listeners() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, listen)
			s.Unit(1).SetSilent(true)
			tr := dial(t, s.URL())
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			began := time.Now()
			_, err := tr.Exchange(ctx, 1, []byte{3, 0, 0, 0, 1}, time.Minute)
			require.ErrorIs(t, err, context.Canceled)
			time.AfterFunc(20*time.Millisecond, func() { _ = tr.Close() })
			_, err = read(tr, 9, 0, 1, time.Minute)
			require.ErrorIs(t, err, modbus.ErrLost)
			require.Less(t, time.Since(began), 10*time.Second)
		})
	}
}

func TestAConnectionThatThePeerClosedIsNoticedBeforeTheRequest(t *testing.T) {
	for name, listen := range listeners() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, listen)
			u := s.Unit(1)
			tr := dial(t, s.URL())
			_, err := read(tr, 1, 0, 1, time.Second)
			require.NoError(t, err)
			s.Disconnect()
			time.Sleep(1100 * time.Millisecond) // the idle limit
			_, err = read(tr, 1, 0, 1, time.Second)
			require.ErrorIs(t, err, modbus.ErrLost)
			require.EqualValues(t, 1, u.Requests())
		})
	}
}

// TestALateAnswerThatWasHeardIsNotWaitedFor guards RTU's wait after a time-out: it
// ends with the late answer rather than after the whole second.
func TestALateAnswerThatWasHeardIsNotWaitedFor(t *testing.T) {
	s := serve(t, modbustest.ListenRTU)
	u := s.Unit(1)
	tr := dial(t, s.URL())
	u.SetDelay(200 * time.Millisecond)
	_, err := read(tr, 1, 0, 1, 100*time.Millisecond)
	require.ErrorIs(t, err, modbus.ErrTimeout)
	u.SetDelay(0)
	began := time.Now()
	_, err = read(tr, 1, 0, 1, time.Second)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 900*time.Millisecond)
}

// TestNothingIsSentToAPeerThatHungUp looks at what arrives after the peer has closed
// its side: a write that arrived would be carried out, and reported as failed.
func TestNothingIsSentToAPeerThatHungUp(t *testing.T) {
	for scheme, answer := range map[string][]byte{"tcp": {0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 7}, "rtuovertcp": crc(1, 3, 2, 0, 7)} {
		t.Run(scheme, func(t *testing.T) {
			arrived := make(chan int64, 1)
			tr := script(t, scheme, func(_ []byte, c io.Writer) {
				_, _ = c.Write(answer)
				conn := c.(*net.TCPConn)
				_ = conn.CloseWrite()
				n, _ := io.Copy(io.Discard, conn)
				arrived <- n
			})
			_, err := read(tr, 1, 0, 1, time.Second)
			require.NoError(t, err)
			time.Sleep(1100 * time.Millisecond) // the idle limit
			_, err = read(tr, 1, 0, 1, time.Second)
			require.ErrorIs(t, err, modbus.ErrLost)
			require.NoError(t, tr.Close())
			require.Zero(t, <-arrived)
		})
	}
}

// script answers each request on the far end of a connection with bytes.
func script(t *testing.T, scheme string, answers ...func(request []byte, c io.Writer)) modbus.Transport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 300)
		for _, answer := range answers {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			answer(buf[:n], c)
		}
		_, _ = io.Copy(io.Discard, c)
	})
	tr := dial(t, scheme+"://"+l.Addr().String())
	t.Cleanup(func() {
		_ = tr.Close()
		_ = l.Close()
		wg.Wait()
	})
	return tr
}

func send(parts ...[]byte) func([]byte, io.Writer) {
	return func(_ []byte, c io.Writer) {
		for _, p := range parts {
			_, _ = c.Write(p)
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestTCPStaysInStep(t *testing.T) {
	bytewise := func(b []byte) (list [][]byte) {
		for i := range b {
			list = append(list, b[i:i+1])
		}
		return list
	}
	// A frame that ends too late, after half of it has come.
	half := []byte{0, 1, 0, 0, 0, 5, 1, 3}
	rest := []byte{2, 0, 99, 0, 2, 0, 0, 0, 5, 1, 3, 2, 0, 7}
	tr := script(t, "tcp",
		send(half), send(rest),
		send(bytewise([]byte{0, 3, 0, 0, 0, 5, 1, 3, 2, 0, 8})...),
		send([]byte{0, 4, 0, 0, 0, 5, 9, 3, 2, 0, 8}),
		send([]byte{0, 5, 0, 1, 0, 5, 1, 3, 2, 0, 8}))
	_, err := read(tr, 1, 0, 1, 100*time.Millisecond)
	require.ErrorIs(t, err, modbus.ErrTimeout)
	data, err := read(tr, 1, 0, 1, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 7}, data)
	data, err = read(tr, 1, 0, 1, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 8}, data)
	_, err = read(tr, 1, 0, 1, 5*time.Second)
	require.ErrorIs(t, err, modbus.ErrProtocol, "the answer of another unit")
	_, err = read(tr, 1, 0, 1, 5*time.Second)
	require.ErrorIs(t, err, modbus.ErrLost, "not Modbus")
}

func crc(b ...byte) []byte {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	return append(slices.Clone(b), byte(sum), byte(sum>>8))
}

func TestRTUFindsItsAnswerAmongNoise(t *testing.T) {
	good := crc(1, 3, 2, 0, 7)
	damaged := bytes.Clone(good)
	damaged[3] ^= 1
	tests := map[string]struct {
		bytes []byte
		err   error
	}{
		"plain":                     {good, nil},
		"leading noise":             {append([]byte{0, 0xFF}, good...), nil},
		"after another's answer":    {append(crc(2, 3, 2, 0, 9), good...), nil},
		"damaged":                   {damaged, modbus.ErrProtocol},
		"cut short":                 {good[:5], modbus.ErrProtocol},
		"too many registers":        {crc(1, 3, 4, 0, 7, 0, 8), modbus.ErrProtocol},
		"another function":          {crc(1, 4, 2, 0, 7), modbus.ErrProtocol},
		"another unit's alone":      {crc(2, 3, 2, 0, 7), modbus.ErrTimeout},
		"nothing":                   {nil, modbus.ErrTimeout},
		"damaged and then answered": {append(bytes.Clone(damaged), good...), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tr := script(t, "rtuovertcp", send(tt.bytes))
			data, err := read(tr, 1, 0, 1, 700*time.Millisecond)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []byte{0, 7}, data)
		})
	}
}

// A handler is the data of simonvetter's server.
type handler struct {
	mu    sync.Mutex
	regs  [1000]uint16
	coils [1000]bool
}

func (h *handler) HandleCoils(r *simonvetter.CoilsRequest) ([]bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(r.Addr)+int(r.Quantity) > len(h.coils) {
		return nil, simonvetter.ErrIllegalDataAddress
	}
	if r.IsWrite {
		copy(h.coils[r.Addr:], r.Args)
	}
	return h.coils[r.Addr : r.Addr+r.Quantity], nil
}

func (h *handler) HandleDiscreteInputs(r *simonvetter.DiscreteInputsRequest) ([]bool, error) {
	return h.HandleCoils(&simonvetter.CoilsRequest{Addr: r.Addr, Quantity: r.Quantity})
}

func (h *handler) HandleHoldingRegisters(r *simonvetter.HoldingRegistersRequest) ([]uint16, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(r.Addr)+int(r.Quantity) > len(h.regs) {
		return nil, simonvetter.ErrIllegalDataAddress
	}
	if r.IsWrite {
		copy(h.regs[r.Addr:], r.Args)
	}
	return h.regs[r.Addr : r.Addr+r.Quantity], nil
}

func (h *handler) HandleInputRegisters(r *simonvetter.InputRegistersRequest) ([]uint16, error) {
	return h.HandleHoldingRegisters(&simonvetter.HoldingRegistersRequest{Addr: r.Addr, Quantity: r.Quantity})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

func TestAgainstSimonvettersServer(t *testing.T) {
	h := &handler{}
	url := fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t))
	s, err := simonvetter.NewServer(&simonvetter.ServerConfiguration{URL: url}, h)
	require.NoError(t, err)
	require.NoError(t, s.Start())
	t.Cleanup(func() { _ = s.Stop() })
	exercise(t, url, 5)
}

// exercise reads and writes all tables of a peer that has 100 or more of each
// address, of which the first may be overwritten.
func exercise(t *testing.T, url string, unit uint8) {
	t.Helper()
	d := modbus.Device{Name: "p", Unit: unit, Poll: 50 * time.Millisecond, Registers: []modbus.Register{
		{Key: "u16", Address: 10, Writable: true},
		{Key: "f32", Address: 20, Type: modbus.Float32, Order: modbus.CDAB, Writable: true},
		{Key: "text", Address: 30, Type: modbus.String, Count: 5, Writable: true},
		{Key: "i64", Address: 40, Type: modbus.Int64, Order: modbus.DCBA, Writable: true},
		{Key: "coil", Table: modbus.Coil, Address: 3, Writable: true},
		{Key: "coils", Table: modbus.Coil, Type: modbus.Bits, Count: 11, Address: 20, Writable: true},
		{Key: "in", Table: modbus.Discrete, Address: 1},
		{Key: "beyond", Address: 60000},
	}}
	c := modbus.New(modbus.Config{URL: url, Devices: []modbus.Device{d}})
	h, stop := run(t, c)
	h.Eventually(t, "first poll", func() bool { return h.last("p", "u16") != "" })
	for _, w := range [][2]string{
		{"u16", "54321"},
		{"f32", "-12.5"},
		{"text", `"Grüße"`},
		{"i64", "-1234567890123"},
		{"coil", "true"},
		{"coils", "[true,false,false,true,true,false,true,false,true,true,true]"},
	} {
		_, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: "p", Method: w[0], Params: json.RawMessage(w[1])})
		require.NoError(t, err)
		want := w[1]
		if w[0] == "text" {
			want = "Grüße"
		}
		h.Eventually(t, w[0], func() bool { return h.last("p", w[0]) == want })
	}
	require.NotEmpty(t, h.series("p", "in"))
	require.Empty(t, h.series("p", "beyond"))
	require.Equal(t, 1, h.log.count("register is refused"))
	stop()
}
