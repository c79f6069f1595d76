package snmp_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// An agent answers requests of versions 1 and 2c on a UDP socket.
type agent struct {
	conn *net.UDPConn
	done chan struct{}

	mu       sync.Mutex
	values   map[string]gosnmp.SnmpPDU
	order    []string // keys of values, sorted
	requests []request
	silent   bool
	most     int  // objects of one request; more are answered tooBig
	deaf     int  // requests of more objects are not answered
	vague    bool // do not say which object an error is of
	faulty   map[string]gosnmp.SNMPError
	hook     func(p *gosnmp.SnmpPacket) bool // false: do not answer
}

// A request is one that an agent got.
type request struct {
	kind gosnmp.PDUType
	oids []string
	at   time.Time
}

// listen starts an agent on a loopback address; it ends with the test.
func listen(tb testing.TB, host string) *agent {
	tb.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	require.NoError(tb, err)
	a := &agent{conn: conn, done: make(chan struct{}), values: make(map[string]gosnmp.SnmpPDU), faulty: make(map[string]gosnmp.SNMPError)}
	go a.serve()
	tb.Cleanup(func() {
		_ = conn.Close()
		<-a.done
	})
	return a
}

func newAgent(tb testing.TB) *agent {
	tb.Helper()
	return listen(tb, "127.0.0.1")
}

func (a *agent) addr() string { return a.conn.LocalAddr().String() }

func (a *agent) port() string {
	_, port, _ := net.SplitHostPort(a.addr())
	return port
}

// do runs f while the agent rests.
func (a *agent) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// set sets an object, in net-snmp's notation: INTEGER 5.
func (a *agent) set(tb testing.TB, oid, value string) {
	tb.Helper()
	pdu := variable(tb, oid, value)
	a.do(func() { a.put(pdu) })
}

func (a *agent) put(pdu gosnmp.SnmpPDU) {
	oid := strings.TrimPrefix(pdu.Name, ".")
	if _, ok := a.values[oid]; !ok {
		a.order = append(a.order, oid)
		slices.SortFunc(a.order, func(x, y string) int {
			switch {
			case snmp.Before(x, y):
				return -1
			case x == y:
				return 0
			default:
				return 1
			}
		})
	}
	a.values[oid] = pdu
}

func (a *agent) get(oid string) (v any) {
	a.do(func() { v = a.values[oid].Value })
	return v
}

// log returns the requests so far.
func (a *agent) log() (list []request) {
	a.do(func() { list = slices.Clone(a.requests) })
	return list
}

func variable(tb testing.TB, oid, value string) gosnmp.SnmpPDU {
	tb.Helper()
	pdu := gosnmp.SnmpPDU{Name: "." + oid}
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(tb, err)
		return n
	}
	kind, rest, _ := strings.Cut(value, " ")
	if kind == "OCTET" {
		b, err := hex.DecodeString(strings.TrimPrefix(rest, "STRING "))
		require.NoError(tb, err)
		pdu.Type, pdu.Value = gosnmp.OctetString, b
		return pdu
	}
	switch strings.ToLower(kind) {
	case "integer":
		n, err := strconv.Atoi(rest)
		require.NoError(tb, err)
		pdu.Type, pdu.Value = gosnmp.Integer, n
	case "string":
		s, err := strconv.Unquote(rest)
		require.NoError(tb, err)
		pdu.Type, pdu.Value = gosnmp.OctetString, []byte(s)
	case "counter32":
		pdu.Type, pdu.Value = gosnmp.Counter32, uint32(number(rest))
	case "gauge32":
		pdu.Type, pdu.Value = gosnmp.Gauge32, uint32(number(rest))
	case "counter64":
		pdu.Type, pdu.Value = gosnmp.Counter64, number(rest)
	case "timeticks":
		pdu.Type, pdu.Value = gosnmp.TimeTicks, uint32(number(rest))
	case "oid":
		pdu.Type, pdu.Value = gosnmp.ObjectIdentifier, "."+rest
	case "ipaddress":
		pdu.Type, pdu.Value = gosnmp.IPAddress, rest
	default:
		require.Fail(tb, "unknown notation: "+value)
	}
	return pdu
}

func (a *agent) serve() {
	defer close(a.done)
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		p, err := codec.SnmpDecodePacket(buf[:n])
		if err != nil {
			continue
		}
		if out := a.answer(p); out != nil {
			if msg, err := out.MarshalMsg(); err == nil {
				_, _ = a.conn.WriteToUDPAddrPort(msg, from)
			}
		}
	}
}

func (a *agent) answer(p *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := request{kind: p.PDUType, oids: names(p), at: time.Now()}
	a.requests = append(a.requests, r)
	if a.silent || a.deaf > 0 && (len(r.oids) > a.deaf || p.MaxRepetitions > uint32(a.deaf)) {
		return nil
	}
	if a.hook != nil && !a.hook(p) {
		return nil
	}
	oids := names(p) // the hook may have changed them
	out := *p
	out.PDUType = gosnmp.GetResponse
	out.Error, out.ErrorIndex = gosnmp.NoError, 0
	if a.most > 0 && (len(r.oids) > a.most || p.MaxRepetitions > uint32(a.most)) {
		out.Error, out.Variables = gosnmp.TooBig, nil
		return &out
	}
	out.Variables = a.variables(p, oids, &out)
	if out.Error != gosnmp.NoError {
		out.Variables = p.Variables
	}
	if a.vague {
		out.ErrorIndex = 0
	}
	return &out
}

func names(p *gosnmp.SnmpPacket) (oids []string) {
	for _, v := range p.Variables {
		oids = append(oids, strings.TrimPrefix(v.Name, "."))
	}
	return oids
}

func (a *agent) variables(p *gosnmp.SnmpPacket, oids []string, out *gosnmp.SnmpPacket) (list []gosnmp.SnmpPDU) {
	fail := func(i int, code gosnmp.SNMPError) {
		if out.Error == gosnmp.NoError {
			out.Error, out.ErrorIndex = code, uint8(i+1)
		}
	}
	rounds := 1
	if p.PDUType == gosnmp.GetBulkRequest {
		rounds = int(p.MaxRepetitions)
	}
	at := slices.Clone(oids)
	for round := range rounds {
		for i, oid := range at {
			if code := a.faulty[oid]; code != 0 {
				fail(i, code)
			}
			v, ok := a.values[oid]
			switch p.PDUType {
			case gosnmp.SetRequest:
				v, ok = p.Variables[i], true
				if a.faulty[oid] == 0 {
					a.put(v)
				}
			case gosnmp.GetNextRequest, gosnmp.GetBulkRequest:
				if round > 0 && i < int(p.NonRepeaters) {
					continue
				}
				v, ok = a.next(oid)
				at[i] = strings.TrimPrefix(v.Name, ".")
			}
			if !ok && p.Version == gosnmp.Version1 {
				fail(i, gosnmp.NoSuchName)
			}
			if !ok {
				v = gosnmp.SnmpPDU{Name: "." + oid, Type: gosnmp.NoSuchInstance}
				if p.PDUType != gosnmp.GetRequest {
					v.Type = gosnmp.EndOfMibView
				}
			}
			list = append(list, v)
		}
	}
	return list
}

func (a *agent) next(oid string) (gosnmp.SnmpPDU, bool) {
	for _, o := range a.order {
		if snmp.Before(oid, o) {
			return a.values[o], true
		}
	}
	return gosnmp.SnmpPDU{Name: "." + oid}, false
}

// fillTable gives the agent a table of rows with three columns.
func (a *agent) fillTable(tb testing.TB, rows int) {
	tb.Helper()
	for i := 1; i <= rows; i++ {
		a.set(tb, fmt.Sprintf("1.3.6.1.4.1.8072.9999.20.1.1.%d", i), fmt.Sprintf("INTEGER %d", i))
		a.set(tb, fmt.Sprintf("1.3.6.1.4.1.8072.9999.20.1.2.%d", i), fmt.Sprintf("STRING %q", fmt.Sprint("port", i)))
		a.set(tb, fmt.Sprintf("1.3.6.1.4.1.8072.9999.20.1.3.%d", i), fmt.Sprintf("Gauge32 %d", 100*i))
	}
}
