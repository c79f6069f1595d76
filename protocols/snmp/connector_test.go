package snmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// base is where the objects of the tests are.
const base = "1.3.6.1.4.1.8072.9999."

// A source feeds an object with the ids of the conformance tests.
type source struct{ ids chan int64 }

// Send implements connectortest.Source.
func (s *source) Send(id int64) { s.ids <- id }

// Acked implements connectortest.Source.
func (s *source) Acked() []int64 { return nil }

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		NoAck:    true,
		Patience: 30 * time.Second,
		RPC: []connector.RPCRequest{
			{Device: "d", Method: "read"},
			{Device: "d", Method: "write", Params: json.RawMessage("5")},
			{Device: "d", Method: "get", Params: json.RawMessage(`"oid=` + base + `2.0;"`)},
		},
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			a := newAgent(t)
			src := &source{ids: make(chan int64, 100)}
			var queue []int64
			turn := 0
			a.set(t, base+"2.0", "INTEGER 0")
			a.do(func() {
				a.hook = func(*gosnmp.SnmpPacket) bool { // every id again and again, as it is not acknowledged
					for len(src.ids) > 0 {
						queue = append(queue, <-src.ids)
					}
					if len(queue) > 0 {
						turn++
						a.put(gosnmp.SnmpPDU{Name: "." + base + "1.0", Type: gosnmp.Integer, Value: int(queue[turn%len(queue)])})
					}
					return true
				}
			})
			return snmp.New(snmp.Config{Devices: []snmp.Device{{
				Name: "d", Address: a.addr(), Poll: 5 * time.Millisecond, Timeout: 5 * time.Second,
				Objects: []snmp.Object{get("id", base+"1.0")},
				RPC: []snmp.Command{
					{Name: "read", OIDs: []string{base + "2.0"}},
					{Name: "write", Method: snmp.Set, OIDs: []string{base + "2.0"}},
				},
			}}}), src
		},
	})
}

// device returns a connector of one device that is a.
func device(a *agent, objects ...snmp.Object) snmp.Device {
	return snmp.Device{Name: "d", Address: a.addr(), Poll: 20 * time.Millisecond, Timeout: 5 * time.Second, Objects: objects}
}

func connect(d snmp.Device) *snmp.Connector { return snmp.New(snmp.Config{Devices: []snmp.Device{d}}) }

func many(tb testing.TB, a *agent, n int) (list []snmp.Object) {
	tb.Helper()
	for i := range n {
		oid := fmt.Sprint(base, "50.", i)
		a.set(tb, oid, fmt.Sprint("INTEGER ", i))
		list = append(list, get(fmt.Sprint("k", i), oid))
	}
	return list
}

func TestObjectsOfOneIntervalAreReadInTheFewestRequests(t *testing.T) {
	a := newAgent(t)
	objects := many(t, a, 130)
	d := device(a, append(objects, get("again", base+"50.0"))...)
	d.Poll = time.Hour
	h, _ := run(t, connect(d))
	h.wants(t, "d", "k129", "129")
	h.wants(t, "d", "again", "0")
	var sizes []int
	for _, r := range a.log() {
		sizes = append(sizes, len(r.oids))
	}
	require.Equal(t, []int{60, 60, 10}, sizes)
}

func TestAnAgentThatCannotAnswerSoManyObjectsIsAskedForFewer(t *testing.T) {
	for name, limit := range map[string]func(a *agent){
		"answers tooBig":  func(a *agent) { a.most = 16 },
		"does not answer": func(a *agent) { a.deaf = 16 },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t)
			objects := many(t, a, 60)
			a.do(func() { limit(a) })
			d := device(a, objects...)
			d.Timeout = 200 * time.Millisecond
			h, _ := run(t, connect(d))
			h.wants(t, "d", "k59", "59")
			h.Eventually(t, "two polls", func() bool { return len(h.series("d", "k0")) > 3 })
			log := a.log()
			for _, r := range log[len(log)-4:] {
				require.LessOrEqual(t, len(r.oids), 16, "the limit was not learnt")
			}
		})
	}
}

func TestAnObjectThatTheAgentDoesNotHaveCostsNothingElse(t *testing.T) {
	for _, version := range []snmp.Version{snmp.V1, snmp.V2c} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			a := newAgent(t)
			objects := many(t, a, 5)
			objects = append(objects[:2], append([]snmp.Object{get("missing", base+"77.0"), get("lost", base+"78.0")}, objects[2:]...)...)
			d := device(a, objects...)
			d.Version = version
			h, _ := run(t, connect(d))
			for i := range 5 {
				h.wants(t, "d", fmt.Sprint("k", i), fmt.Sprint(i))
			}
			h.Eventually(t, "more polls", func() bool { return len(h.series("d", "k0")) > 5 })
			require.Empty(t, h.series("d", "missing"))
			require.Equal(t, 1, h.log.count("key=missing"), h.log.String())
			require.Contains(t, h.log.String(), base+"77.0")
			log := a.log()
			if version == snmp.V1 {
				require.Less(t, len(log), 3+len(h.series("d", "k0"))+3, "a refused object costs a request in each poll")
			}
			a.set(t, base+"77.0", "INTEGER 7")
			if version == snmp.V2c {
				h.wants(t, "d", "missing", "7")
				h.Eventually(t, "log", func() bool { return h.log.count("object is read again") == 1 })
			}
		})
	}
}

func TestAnAgentThatDoesNotSayWhichObjectFails(t *testing.T) {
	a := newAgent(t)
	d := device(a, many(t, a, 7)...)
	a.do(func() {
		a.vague = true
		a.faulty[base+"50.3"] = gosnmp.GenErr
	})
	h, _ := run(t, connect(d))
	for _, i := range []int{0, 1, 2, 4, 5, 6} {
		h.wants(t, "d", fmt.Sprint("k", i), fmt.Sprint(i))
	}
	require.Empty(t, h.series("d", "k3"))
	require.Contains(t, h.log.String(), "genErr")
}

func TestTablesAreKeyedByIndexAndColumn(t *testing.T) {
	a := newAgent(t)
	a.fillTable(t, 2)
	const rows = `{"1":{"1":1,"2":"port1","3":100},"2":{"1":2,"2":"port2","3":200}}`
	for _, version := range []snmp.Version{snmp.V1, snmp.V2c} {
		d := device(a,
			snmp.Object{Key: "entry", Method: snmp.Table, OIDs: []string{base + "20.1"}},
			snmp.Object{Key: "table", Method: snmp.BulkTable, OIDs: []string{base + "20"}},
			snmp.Object{Key: "empty", Method: snmp.Table, OIDs: []string{base + "30.1"}},
			snmp.Object{Key: "walk", Method: snmp.Walk, OIDs: []string{base + "20.1.3"}, Scale: 0.1},
			snmp.Object{Key: "next", Method: snmp.GetNext, OIDs: []string{base + "20.1.3"}},
			snmp.Object{Key: "bulk", Method: snmp.BulkGet, Scalars: []string{base + "20.1.1"}, OIDs: []string{base + "20.1.2"}, Repetitions: 2},
			snmp.Object{Key: "several", Method: snmp.MultiWalk, OIDs: []string{base + "20.1.1", base + "20.1.3"}},
			snmp.Object{Key: "list", Method: snmp.MultiGet, OIDs: []string{base + "20.1.1.1", base + "20.1.2.1"}},
		)
		d.Version = version
		h, stop := run(t, connect(d))
		h.wants(t, "d", "entry", rows)
		h.wants(t, "d", "table", rows)
		h.wants(t, "d", "empty", "{}")
		h.wants(t, "d", "walk", `{"`+base+`20.1.3.1":10.0,"`+base+`20.1.3.2":20.0}`)
		h.wants(t, "d", "next", `{"`+base+`20.1.3.1":100}`)
		h.wants(t, "d", "bulk", `{"`+base+`20.1.1.1":1,"`+base+`20.1.2.1":"port1","`+base+`20.1.2.2":"port2"}`)
		h.wants(t, "d", "several", `{"`+base+`20.1.1.1":1,"`+base+`20.1.1.2":2,"`+base+`20.1.3.1":100,"`+base+`20.1.3.2":200}`)
		h.wants(t, "d", "list", `[1,"port1"]`)
		stop()
	}
}

func TestAWalkNeedsFewRequestsAndAdaptsToTheAgent(t *testing.T) {
	for name, limit := range map[string]func(a *agent){
		"capable":         func(*agent) {},
		"answers tooBig":  func(a *agent) { a.most = 4 },
		"does not answer": func(a *agent) { a.deaf = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t)
			a.fillTable(t, 40)
			a.do(func() { limit(a) })
			d := device(a, snmp.Object{Key: "t", Method: snmp.Walk, OIDs: []string{base + "20.1.1"}, Poll: time.Hour})
			d.Timeout, d.MaxRepetitions = 200*time.Millisecond, 20
			h, _ := run(t, connect(d))
			h.Eventually(t, "the walk", func() bool { return h.last("d", "t") != "" })
			var m map[string]int
			require.NoError(t, json.Unmarshal([]byte(h.last("d", "t")), &m))
			require.Len(t, m, 40)
			if name == "capable" {
				require.LessOrEqual(t, len(a.log()), 3)
			} else {
				require.LessOrEqual(t, len(a.log()), 30, "4 at a time, and the attempts before")
			}
		})
	}
}

func TestAWalkThatWouldNeverEndCostsNothingElse(t *testing.T) {
	a := newAgent(t)
	a.fillTable(t, 3)
	d := device(a, get("k", base+"20.1.1.1"), snmp.Object{Key: "loop", Method: snmp.Walk, OIDs: []string{base + "20.1.3"}})
	d.MaxRepetitions = -1
	a.do(func() {
		a.hook = func(p *gosnmp.SnmpPacket) bool { // the last object is followed by the first
			if p.Variables[0].Name == "."+base+"20.1.3.3" {
				p.Variables[0].Name = "." + base + "20.1.3"
			}
			return true
		}
	})
	h, _ := run(t, connect(d))
	h.Eventually(t, "polls", func() bool { return len(h.series("d", "k")) > 2 })
	require.Empty(t, h.series("d", "loop"))
	require.Contains(t, h.log.String(), "which would never end")
}

func TestASilentDeviceIsReportedAndComesBack(t *testing.T) {
	a := newAgent(t)
	a.set(t, base+"1.0", "INTEGER 5")
	d := device(a, get("k", base+"1.0"))
	d.Timeout, d.Retries = 50*time.Millisecond, -1
	c := connect(d)
	h, _ := run(t, c)
	h.wants(t, "d", "k", "5")
	h.Eventually(t, "online", func() bool { return len(h.Online()) == 1 })
	require.True(t, h.IsReady())
	require.True(t, c.Health().OK)
	a.do(func() { a.silent = true })
	h.Eventually(t, "offline", func() bool { return len(h.Online()) == 0 })
	require.Equal(t, "1 of 1 devices do not answer: d", c.Health().Detail)
	require.Equal(t, 1, h.log.count("device does not answer"))
	require.Contains(t, h.log.String(), "no answer from "+a.addr())
	a.do(func() { a.silent = false })
	h.Eventually(t, "online", func() bool { return len(h.Online()) == 1 })
	require.True(t, c.Health().OK)
}

func TestADeviceThatRefusesConnectionsIsTriedAgain(t *testing.T) {
	a := newAgent(t)
	addr := a.addr()
	require.NoError(t, a.conn.Close())
	h, _ := run(t, connect(snmp.Device{Name: "d", Address: addr, Poll: 20 * time.Millisecond, Objects: []snmp.Object{get("k", base+"1.0")}}))
	h.Eventually(t, "warning", func() bool { return h.log.count("device does not answer") == 1 })
	require.False(t, h.IsReady())
}

func TestAnAnswerToAnotherRequestIsNoAnswer(t *testing.T) {
	a := newAgent(t)
	a.set(t, base+"1.0", "INTEGER 5")
	d := device(a, get("k", base+"1.0"))
	d.Timeout = 50 * time.Millisecond
	a.do(func() { a.hook = func(p *gosnmp.SnmpPacket) bool { p.RequestID += 7; return true } })
	h, _ := run(t, connect(d))
	h.Eventually(t, "offline", func() bool { return h.log.count("device does not answer") == 1 })
	require.Empty(t, h.series("d", "k"))
}

func TestAnAnswerOfOtherObjectsIsNotTakenForTheOnesAskedFor(t *testing.T) {
	a := newAgent(t)
	a.set(t, base+"1.0", "INTEGER 5")
	a.set(t, base+"2.0", "INTEGER 6")
	d := device(a, get("k", base+"1.0"), get("l", base+"2.0"))
	a.do(func() {
		a.hook = func(p *gosnmp.SnmpPacket) bool {
			p.Variables[0], p.Variables[1] = p.Variables[1], p.Variables[0]
			return true
		}
	})
	h, _ := run(t, connect(d))
	h.wants(t, "d", "k", "5")
	h.wants(t, "d", "l", "6")
}

func TestRunEndsWhileADeviceIsWaitedFor(t *testing.T) {
	a := newAgent(t)
	a.do(func() { a.silent = true })
	d := device(a, get("k", base+"1.0"))
	d.Timeout, d.Retries = time.Minute, -1
	_, stop := run(t, connect(d))
	require.Eventually(t, func() bool { return len(a.log()) > 0 }, 10*time.Second, time.Millisecond)
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Run waits for the device")
	}
}

func TestReadingsThatAreNotAcceptedEndRun(t *testing.T) {
	a := newAgent(t)
	a.set(t, base+"1.0", "INTEGER 5")
	h := connectortest.NewHost(t)
	full := errors.New("full")
	h.Fail(func() error { return full }, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.ErrorIs(t, connect(device(a, get("k", base+"1.0"))).Run(ctx, h), full)
}

func TestAWrongConfigurationIsPermanentAndNamesEverything(t *testing.T) {
	cfg := snmp.Config{Devices: []snmp.Device{
		{Name: "a", Address: "", Objects: []snmp.Object{{Key: "x", OIDs: []string{"1.3.x"}}, {Key: "", OIDs: []string{"1.3.6"}, Method: snmp.Set}}},
		{Name: "b", Address: "h:0", Version: snmp.V3, User: &snmp.User{Name: "u", Priv: "AES", PrivPassword: "short"}},
	}}
	err := snmp.New(cfg).Run(t.Context(), connectortest.NewHost(t))
	require.True(t, connector.IsPermanent(err))
	for _, text := range []string{
		`device "a": address: missing`, `device "a": key "x": oid: "1.3.x" is not an object identifier`, `key "": key: missing`,
		`set cannot be polled`, `device "b": address: "h:0": the port`, `no encryption without authentication`,
		`device "b": security.privPassword: shorter than 8 characters`,
	} {
		require.ErrorContains(t, err, text)
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	d := snmp.Device{Name: "d", User: &snmp.User{Name: "u", Auth: "SHA", AuthPassword: "secret-a", Priv: "AES", PrivPassword: "secret-p"}}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", *d.User, *d.User, *d.User), fmt.Sprintf("%v %+v", d.User, d.User)} {
		require.NotContains(t, text, "secret")
	}
}
