package modbus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The reference gateway's example files, with every key that its schema has.
func TestTheExampleFilesLoadWithoutAnError(t *testing.T) {
	for _, name := range []string{"modbus.json", "modbus_serial.json"} {
		doc, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		for _, doc := range []string{string(doc), strings.Replace(string(doc), `"sendDataToThingsBoard": false`, `"sendDataToThingsBoard": true`, 1)} {
			_, log, err := load(t, doc)
			require.NoError(t, err)
			require.NotContains(t, log, "level=ERROR")
			require.NotContains(t, log, "without a meaning")
			require.LessOrEqual(t, strings.Count(log, "have no effect"), 1)
		}
	}
}

func TestKeysThatDoNotApplyAreReportedOnceByName(t *testing.T) {
	_, log, err := load(t, slave(`, "strict": false, "exclusive": true, "rpcPollPeriod": 5,
		"timeseries": [{"tag": "x", "type": "16int", "functionCode": 3, "address": 0}]`))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log, "have no effect"))
	require.Contains(t, log, `keys="[master.slaves[].rpcPollPeriod master.slaves[].strict]"`)
}

func TestATagOfAnUnknownTypeIsLeftOutAlone(t *testing.T) {
	s := serve(t, modbustest.Listen)
	s.Unit(1).SetWords(modbus.Holding, 9, 5)
	c, log, err := load(t, strings.Replace(slave(`, "timeseries": [
		{"tag": "v", "type": "48int", "functionCode": 3, "objectsCount": 3, "address": 0},
		{"tag": "w", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": 9}]`), "5020", s.Addr()[len("127.0.0.1:"):], 1))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log, "level=ERROR"))
	require.Contains(t, log, `master.slaves[0].timeseries[0]: type: not known`)
	h, _ := run(t, c)
	h.Eventually(t, "the other is read", func() bool { return h.last("MB", "w") == "5" || h.last("D", "w") == "5" })
}

func TestACommandOfAnUnknownFunctionIsLeftOutAlone(t *testing.T) {
	c, log, err := load(t, slave(`, "rpc": [{"tag": "x", "type": "16int", "functionCode": 9, "address": 5}, {"tag": "y", "type": "16int", "functionCode": 6, "address": 5}],
		"attributeUpdates": [{"tag": "z", "type": "16int", "functionCode": 7, "address": 5}]`))
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(log, "level=ERROR"))
	require.Contains(t, log, "master.slaves[0].rpc[0].functionCode: 9 is not a function to read or write with")
	require.Contains(t, log, "master.slaves[0].attributeUpdates[0].functionCode: 7 is not")
	_, err = c.(*modbus.Connector).HandleRPC(t.Context(), connector.RPCRequest{Device: "D", Method: "x"})
	require.ErrorContains(t, err, "not found")
}

func TestTextEncodingsBoundsAndPolicies(t *testing.T) {
	s := serve(t, modbustest.Listen)
	u := s.Unit(1)
	u.SetWords(modbus.Holding, 0, 0x47FC, 0x0000)         // G, ü in latin-1
	u.SetWords(modbus.Holding, 10, 0x0047, 0x00FC, 0)     // in utf-16be
	u.SetWords(modbus.Holding, 20, 0x4700, 0xFC00, 0)     // in utf-16le
	u.SetWords(modbus.Holding, 30, 50, 150, 0xFFFF, 1000) // of 0 to 100, and so on
	port := s.Addr()[len("127.0.0.1:"):]
	c, _, err := load(t, strings.Replace(slave(`, "sendDataOnlyOnChange": true, "timeseries": [
		{"tag": "a", "type": "string", "encoding": "latin-1", "functionCode": 3, "objectsCount": 2, "address": 0},
		{"tag": "b", "type": "string", "encoding": "UTF-16BE", "functionCode": 3, "objectsCount": 3, "address": 10},
		{"tag": "c", "type": "string", "encoding": "utf-16le", "functionCode": 3, "objectsCount": 3, "address": 20},
		{"tag": "in", "type": "16int", "functionCode": 3, "address": 30, "min": 0, "max": 100},
		{"tag": "over", "type": "16int", "functionCode": 3, "address": 31, "max": 100},
		{"tag": "under", "type": "16int", "functionCode": 3, "address": 32, "min": 0},
		{"tag": "scaled", "type": "16int", "functionCode": 3, "address": 33, "divider": 10, "max": 100,
		 "reportStrategy": {"type": "ON_RECEIVED"}}],
		"attributeUpdates": [{"tag": "w", "type": "string", "encoding": "latin-1", "functionCode": 16, "objectsCount": 1, "address": 60}]`),
		"5020", port, 1))
	require.NoError(t, err)
	h, _ := run(t, c)
	h.Eventually(t, "a poll", func() bool { return h.last("D", "scaled") != "" })
	for key, want := range map[string]string{"a": "Gü", "b": "Gü", "c": "Gü", "in": "50", "over": "", "under": "", "scaled": "100.0"} {
		require.Equal(t, want, h.last("D", key), key)
	}
	require.Equal(t, telemetry.OnChange, h.series("D", "in")[0].Report.Mode)
	require.Equal(t, telemetry.OnReceived, h.series("D", "scaled")[0].Report.Mode)
	m := c.(*modbus.Connector)
	write := func(text string) error {
		return m.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "D", Attributes: []telemetry.Point{{Key: "w", Value: telemetry.String(text)}}})
	}
	require.NoError(t, write("éü"))
	require.EqualValues(t, 0xE9FC, u.Word(modbus.Holding, 60))
	require.ErrorContains(t, write("€"), "latin-1")
}

func TestConnectingPausesAfterSoManyAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus modbustest.Bus
		bus.SetUnreachable(errors.New("gone"))
		d := device("m", 1, words(1)...)
		d.Reconnect = modbus.Reconnect{First: time.Second, Longest: 10 * time.Minute, Attempts: 3}
		run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
		pass(9 * time.Minute)
		require.EqualValues(t, 3, bus.Opened())
		pass(20 * time.Minute)
		require.Greater(t, bus.Opened(), int64(3))
		require.LessOrEqual(t, bus.Opened(), int64(7))
	})
}

func TestAnUnansweredRequestIsNotRepeatedIfThatIsTurnedOff(t *testing.T) {
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var bus modbustest.Bus
			d := device("m", 1, words(1)...)
			d.Retries, d.SkipEmpty = 2, skip
			_, stop := run(t, modbus.New(modbus.Config{Open: bus.Open, Devices: []modbus.Device{d}}))
			bus.Unit(1)
			pass(2500 * time.Millisecond)
			bus.Unit(1).SetSilent(true)
			n := bus.Unit(1).Requests()
			pass(4 * time.Second)
			got := bus.Unit(1).Requests() - n
			require.Equal(t, skip, got < 4, "%d requests", got)
			stop()
		})
	}
}

func TestABroadcastIsWrittenAndNeverReadOrAnswered(t *testing.T) {
	a, b := line(t)
	c, _, err := load(t, serverFile(fmt.Sprintf(`"type": "serial", "method": "rtu", "port": %q`, a)))
	require.NoError(t, err)
	h, _ := run(t, c)
	h.Eventually(t, "the server runs", func() bool { return h.last("Own", "level") == "-7" })
	all := modbus.New(modbus.Config{URL: "rtu://" + b, Devices: []modbus.Device{{Name: "all", Unit: 0, RPC: []modbus.Command{
		{Method: "set", Function: 6, Register: modbus.Register{Address: 10, Type: modbus.Int16}},
		{Method: "read", Function: 3, Register: modbus.Register{Address: 10, Type: modbus.Int16}},
	}}}})
	g, _ := run(t, all)
	g.Eventually(t, "the line is open", func() bool { return len(g.Online()) == 1 })
	_, err = all.HandleRPC(t.Context(), connector.RPCRequest{Device: "all", Method: "set", Params: json.RawMessage("55")})
	require.NoError(t, err)
	h.Eventually(t, "the broadcast arrived", func() bool { return h.last("Own", "level") == "55" })
	_, err = all.HandleRPC(t.Context(), connector.RPCRequest{Device: "all", Method: "read"})
	require.ErrorContains(t, err, "broadcast")
}

func TestACallForNoDeviceIsOneForAll(t *testing.T) {
	s := serve(t, modbustest.Listen)
	s.Unit(1).SetWords(modbus.Holding, 9, 31)
	s.Unit(2).Refuse(modbus.Holding, 9, 9, modbus.IllegalDataAddress)
	c := modbus.New(modbus.Config{URL: s.URL(), Devices: []modbus.Device{
		{Name: "a", Unit: 1, Registers: words(1)}, {Name: "b", Unit: 2, Registers: words(1)},
	}})
	h, _ := run(t, c)
	h.Eventually(t, "connected", func() bool { return h.last("b", "r0") != "" })
	v, err := c.HandleRPC(t.Context(), connector.RPCRequest{
		Method: "modbus_get", Params: json.RawMessage(`{"type": "16int", "functionCode": 3, "objectsCount": 1, "address": 9}`),
	})
	require.NoError(t, err)
	require.JSONEq(t, `[{"result": 31, "device_name": "a"},
		{"error": "modbus: b get: exception 2 (illegal data address) to function 3", "device_name": "b"}]`, v.String())
	_, err = c.HandleRPC(t.Context(), connector.RPCRequest{Method: "modbus_dance"})
	require.ErrorContains(t, err, "method not found")
}
