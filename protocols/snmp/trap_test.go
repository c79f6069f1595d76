package snmp_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// linkDown is a notification.
const linkDown = "1.3.6.1.6.3.1.1.5.3"

// notify returns a trap or an inform.
func notify(tb testing.TB, kind gosnmp.PDUType, community, trap string, objects ...gosnmp.SnmpPDU) []byte {
	tb.Helper()
	s := &gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: community}
	s.SetRequestID(uint32(time.Now().UnixNano() & 0x3fffffff))
	list := append([]gosnmp.SnmpPDU{
		{Name: ".1.3.6.1.2.1.1.3.0", Type: gosnmp.TimeTicks, Value: uint32(1)},
		{Name: ".1.3.6.1.6.3.1.1.4.1.0", Type: gosnmp.ObjectIdentifier, Value: "." + trap},
	}, objects...)
	msg, err := s.SnmpEncodePacket(kind, list, 0, 0)
	require.NoError(tb, err)
	return msg
}

func number(oid string, n int) gosnmp.SnmpPDU {
	return gosnmp.SnmpPDU{Name: "." + oid, Type: gosnmp.Integer, Value: n}
}

// An informer sends informs until they are answered.
type informer struct {
	conn net.Conn

	mu    sync.Mutex
	sent  map[uint32]int64 // by request
	msgs  map[int64][]byte
	acked []int64
	done  chan struct{}
	wg    sync.WaitGroup
}

func newInformer(tb testing.TB, addr string) *informer {
	tb.Helper()
	conn, err := net.Dial("udp", addr)
	require.NoError(tb, err)
	i := &informer{conn: conn, sent: make(map[uint32]int64), msgs: make(map[int64][]byte), done: make(chan struct{})}
	i.wg.Go(i.repeat)
	i.wg.Go(i.hear)
	tb.Cleanup(func() {
		close(i.done)
		_ = conn.Close()
		i.wg.Wait()
	})
	return i
}

// Send implements connectortest.Source.
func (i *informer) Send(id int64) {
	s := &gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: "public"}
	s.SetRequestID(uint32(1000 + id))
	msg, err := s.SnmpEncodePacket(gosnmp.InformRequest, []gosnmp.SnmpPDU{
		{Name: ".1.3.6.1.2.1.1.3.0", Type: gosnmp.TimeTicks, Value: uint32(1)},
		{Name: ".1.3.6.1.6.3.1.1.4.1.0", Type: gosnmp.ObjectIdentifier, Value: "." + linkDown},
		number(base+"1.0", int(id)),
	}, 0, 0)
	if err != nil {
		panic(err)
	}
	p, err := s.SnmpDecodePacket(msg)
	if err != nil {
		panic(err)
	}
	i.mu.Lock()
	i.sent[p.RequestID], i.msgs[id] = id, msg
	i.mu.Unlock()
	_, _ = i.conn.Write(msg)
}

// Acked implements connectortest.Source.
func (i *informer) Acked() []int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]int64(nil), i.acked...)
}

func (i *informer) repeat() {
	for {
		select {
		case <-i.done:
			return
		case <-time.After(20 * time.Millisecond):
		}
		i.mu.Lock()
		for _, msg := range i.msgs {
			_, _ = i.conn.Write(msg)
		}
		i.mu.Unlock()
	}
}

func (i *informer) hear() {
	s := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
	buf := make([]byte, 4096)
	for {
		n, err := i.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // nobody listens
			continue
		}
		p, err := s.SnmpDecodePacket(buf[:n])
		if err != nil || p.PDUType != gosnmp.GetResponse {
			continue
		}
		i.mu.Lock()
		if id, ok := i.sent[p.RequestID]; ok && i.msgs[id] != nil {
			i.acked = append(i.acked, id)
			delete(i.msgs, id)
		}
		i.mu.Unlock()
	}
}

func TestConformanceOfInforms(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		Patience: 30 * time.Second,
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			addr := "127.0.0.1:" + peer.FreePacketPort(t)
			return snmp.New(snmp.Config{
				Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}},
				Traps: &snmp.Traps{Address: addr, Mappings: []snmp.TrapMapping{
					{Trap: linkDown, Objects: []snmp.TrapObject{{Key: "id", OID: base + "1"}}},
				}},
			}), newInformer(t, addr)
		},
	})
}

// receiver runs a connector that receives traps, and returns how to send to it.
func receiver(t *testing.T, cfg snmp.Config) (*host, func(msg []byte)) {
	t.Helper()
	cfg.Traps.Address = "127.0.0.1:" + peer.FreePacketPort(t)
	h, _ := run(t, snmp.New(cfg))
	h.Eventually(t, "listening", func() bool { return h.log.count("traps are received") == 1 })
	conn, err := net.Dial("udp", cfg.Traps.Address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return h, func(msg []byte) {
		_, err := conn.Write(msg)
		require.NoError(t, err)
	}
}

func TestANotificationThatNoMappingNamesIsReportedAsAWhole(t *testing.T) {
	h, send := receiver(t, snmp.Config{Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1", Profile: "p"}}, Traps: &snmp.Traps{}})
	send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown, number("1.3.6.1.2.1.2.2.1.1.7", 7)))
	h.wants(t, "d", "trap", `{"trap":"`+linkDown+`","objects":{"1.3.6.1.2.1.2.2.1.1.7":7}}`)
	require.Equal(t, "p", h.series("d", "trap")[0].Device.Profile)
}

func TestMappingsNameWhatIsReported(t *testing.T) {
	h, send := receiver(t, snmp.Config{
		Names:   snmp.Names{"linkDown": linkDown, "ifIndex": "1.3.6.1.2.1.2.2.1.1"},
		Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}},
		Traps: &snmp.Traps{DropUnmapped: true, Mappings: []snmp.TrapMapping{
			{Trap: "IF-MIB::linkDown", Key: "link", Value: "down", Objects: []snmp.TrapObject{{Key: "index", OID: "ifIndex", Scale: 0.1}}},
			{Trap: "1.3.6.1.4.1.*", Key: "vendor"},
		}},
	})
	send(notify(t, gosnmp.SNMPv2Trap, "public", "1.3.6.1.6.3.1.1.5.1")) // coldStart: nobody wants it
	send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown, number("1.3.6.1.2.1.2.2.1.1.7", 75)))
	send(notify(t, gosnmp.SNMPv2Trap, "public", "1.3.6.1.4.1.9.0.1"))
	h.wants(t, "d", "vendor", `"1.3.6.1.4.1.9.0.1"`)
	require.Equal(t, `"down"`, h.last("d", "link"))
	require.Equal(t, "7.5", h.last("d", "index"))
	require.Len(t, h.Readings(false), 3)
}

func TestTrapsOfVersion1HaveTheirNamesInVersion2(t *testing.T) {
	h, send := receiver(t, snmp.Config{Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}}, Traps: &snmp.Traps{}})
	for _, test := range []struct {
		generic, specific int
		want              string
	}{{2, 0, linkDown}, {0, 0, "1.3.6.1.6.3.1.1.5.1"}, {6, 55, "1.3.6.1.4.1.8072.0.55"}} {
		p := gosnmp.SnmpPacket{Version: gosnmp.Version1, Community: "public", PDUType: gosnmp.Trap, Variables: []gosnmp.SnmpPDU{number(base+"1.0", 1)}}
		p.Enterprise, p.AgentAddress = ".1.3.6.1.4.1.8072", "127.0.0.1"
		p.GenericTrap, p.SpecificTrap = test.generic, test.specific
		msg, err := p.MarshalMsg()
		require.NoError(t, err)
		send(msg)
		h.wants(t, "d", "trap", `{"trap":"`+test.want+`","objects":{"`+base+`1.0":1}}`)
	}
}

func TestTheSenderOfANotificationIsFound(t *testing.T) {
	devices := []snmp.Device{
		{Name: "first", Address: "127.0.0.1:1161"},
		{Name: "second", Address: "127.0.0.1:2161", Community: "other"},
		{Name: "far", Address: "192.0.2.7"},
	}
	h, send := receiver(t, snmp.Config{Devices: devices, Traps: &snmp.Traps{}})
	send(notify(t, gosnmp.SNMPv2Trap, "other", linkDown))
	h.Eventually(t, "by community", func() bool { return len(h.series("second", "trap")) == 1 })
	send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown))
	h.Eventually(t, "the other", func() bool { return len(h.series("first", "trap")) == 1 })

	forwarded := func(from string) []byte {
		return notify(t, gosnmp.SNMPv2Trap, "public", linkDown, gosnmp.SnmpPDU{Name: ".1.3.6.1.6.3.18.1.3.0", Type: gosnmp.IPAddress, Value: from})
	}
	h, send = receiver(t, snmp.Config{Devices: devices[2:], Traps: &snmp.Traps{Unknown: "unknown ${address}"}})
	send(forwarded("192.0.2.7"))
	h.Eventually(t, "forwarded", func() bool { return len(h.series("far", "trap")) == 1 })
	send(forwarded("192.0.2.8"))
	h.Eventually(t, "unknown", func() bool { return len(h.series("unknown 192.0.2.8", "trap")) == 1 })

	h, send = receiver(t, snmp.Config{Devices: devices[2:], Traps: &snmp.Traps{}})
	send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown))
	h.Eventually(t, "warning", func() bool { return h.log.count("it comes from no device of the configuration") == 1 })
	require.Empty(t, h.Readings(false))
}

func TestWhatIsNoNotificationCostsNothing(t *testing.T) {
	h, send := receiver(t, snmp.Config{Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}}, Traps: &snmp.Traps{}})
	for _, msg := range [][]byte{{0x30}, {0}, []byte("hello"), notify(t, gosnmp.GetRequest, "public", linkDown), notify(t, gosnmp.SNMPv2Trap, "guess", linkDown)} {
		send(msg)
	}
	send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown))
	h.Eventually(t, "the good one", func() bool { return len(h.series("d", "trap")) == 1 })
	require.Len(t, h.Readings(false), 1)
	require.Equal(t, 1, h.log.count("trap is refused"), "one warning for each sender")
}

func TestAPortThatIsTakenIsTriedAgain(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	c := snmp.New(snmp.Config{Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}}, Traps: &snmp.Traps{Address: taken.LocalAddr().String()}})
	h, _ := run(t, c)
	h.Eventually(t, "warning", func() bool { return h.log.count("traps cannot be received") == 1 })
	require.Contains(t, c.Health().Detail, "traps cannot be received")
	require.NoError(t, taken.Close())
	h.Eventually(t, "listening", func() bool { return h.log.count("traps are received") == 1 })
	require.True(t, c.Health().OK)
}

func TestAnOldMessageOfAUserIsRefused(t *testing.T) {
	u := snmp.User{Name: "u", Auth: "SHA", AuthPassword: "password1"}
	d := snmp.NewTrapDecoder(t, nil, []snmp.User{u}, "gateway-1")
	message := func(boots, seconds uint32) []byte {
		sp := &gosnmp.UsmSecurityParameters{
			UserName: "u", AuthoritativeEngineID: "agent-77", AuthoritativeEngineBoots: boots, AuthoritativeEngineTime: seconds,
			AuthenticationProtocol: gosnmp.SHA, AuthenticationPassphrase: "password1",
		}
		require.NoError(t, sp.InitSecurityKeys())
		p := gosnmp.SnmpPacket{
			Version: gosnmp.Version3, MsgFlags: gosnmp.AuthNoPriv, SecurityModel: gosnmp.UserSecurityModel, SecurityParameters: sp,
			ContextEngineID: "agent-77", PDUType: gosnmp.SNMPv2Trap, MsgMaxSize: 65507,
			Variables: []gosnmp.SnmpPDU{{Name: ".1.3.6.1.6.3.1.1.4.1.0", Type: gosnmp.ObjectIdentifier, Value: "." + linkDown}},
		}
		msg, err := p.MarshalMsg()
		require.NoError(t, err)
		return msg
	}
	for _, test := range []struct {
		boots, seconds uint32
		ok             bool
	}{{5, 1000, true}, {5, 1000, true}, {5, 900, true}, {5, 849, false}, {4, 5000, false}, {6, 1, true}, {5, 1001, false}} {
		trap, _, err := d.Decode(message(test.boots, test.seconds))
		if !test.ok {
			require.ErrorContains(t, err, "older than others", test)
			continue
		}
		require.NoError(t, err, test)
		require.Equal(t, linkDown, trap)
	}
	msg := message(7, 1)
	msg[len(msg)-1] ^= 1
	_, _, err := d.Decode(msg)
	require.Error(t, err, "a message that was changed")
}

func TestAnInformIsAnsweredOnceAndReportedOnce(t *testing.T) {
	addr := "127.0.0.1:" + peer.FreePacketPort(t)
	c := snmp.New(snmp.Config{Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}}, Traps: &snmp.Traps{Address: addr}})
	h, _ := run(t, c)
	h.Eventually(t, "listening", func() bool { return h.log.count("traps are received") == 1 })
	h.Hold(true)
	i := newInformer(t, addr)
	i.Send(1)
	h.Eventually(t, "submitted", func() bool { return len(h.series("d", "trap")) == 1 })
	time.Sleep(100 * time.Millisecond) // it is repeated meanwhile
	require.Empty(t, i.Acked(), "it is not durable")
	h.Hold(false)
	h.Eventually(t, "answered", func() bool { return len(i.Acked()) == 1 })
	require.Len(t, h.series("d", "trap"), 1)
}

func TestTwoGatewaysReceiveOnTheirOwnPorts(t *testing.T) {
	for n := range 2 {
		h, send := receiver(t, snmp.Config{Devices: []snmp.Device{{Name: fmt.Sprint("d", n), Address: "127.0.0.1"}}, Traps: &snmp.Traps{}})
		send(notify(t, gosnmp.SNMPv2Trap, "public", linkDown))
		h.Eventually(t, "trap", func() bool { return len(h.series(fmt.Sprint("d", n), "trap")) == 1 })
	}
}
