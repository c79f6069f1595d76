package modbus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
	"github.com/gridlinks/iot-gateway/protocols/modbus/modbustest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// load makes a connector of a file, and returns what was logged.
func load(t testing.TB, doc string) (connector.Connector, string, error) {
	t.Helper()
	var log bytes.Buffer
	c, err := modbus.Type(modbus.WithProfiles(meter.Profiles())).New(json.RawMessage(doc), connector.Env{
		Name: "modbus", Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	return c, log.String(), err
}

// slave returns a file with one TCP slave that has more members.
func slave(members string) string {
	return `{"master": {"slaves": [{"type": "tcp", "method": "socket", "host": "127.0.0.1", "port": 5020, "unitId": 1,
		"deviceName": "D", "pollPeriod": 1000, "byteOrder": "BIG", "wordOrder": "BIG"` + members + `}]}}`
}

func TestAFileOfTheReferenceGatewayRuns(t *testing.T) {
	s := serve(t, modbustest.Listen)
	u := s.Unit(2)
	u.SetWords(modbus.Holding, 100, 0xFF38, 0x0002)
	u.SetFloat32(modbus.Input, 8, 3.14159265)
	u.SetBits(modbus.Coil, 4, true, false, true, true)
	u.SetWords(modbus.Holding, 200, 10, 11, 12, 13)
	doc := fmt.Sprintf(`{"name": "Modbus", "id": "x", "logLevel": "INFO", "strange": 1, "master": {"slaves": [{
		"type": "tcp", "method": "socket", "host": "127.0.0.1", "port": "%s", "unitId": 2, "deviceName": "Temp", "deviceType": "sensor",
		"pollPeriod": 50, "timeout": 35, "retries": true, "byteOrder": "LITTLE", "wordOrder": "BIG", "retryOnEmpty": true,
		"connectAttemptTimeMs": 5000, "tls": {}, "reportStrategy": {"type": "ON_CHANGE", "reportPeriod": 5000}, "odd": true,
		"attributes": [{"tag": "state", "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": 101, "byteOrder": "BIG", "variants": {"2": "STOP"}}],
		"timeseries": [
			{"tag": "t", "type": "16int", "functionCode": 3, "objectsCount": 1, "address": 100, "byteOrder": "BIG", "divider": 10,
			 "reportStrategy": {"type": "ON_CHANGE_OR_REPORT_PERIOD", "reportPeriod": 60000}},
			{"tag": "pi", "type": "float", "functionCode": 4, "registersCount": 2, "address": "0x08", "byteOrder": "BIG", "round": 3},
			{"tag": "coils", "type": "bits", "functionCode": 1, "objectsCount": 4, "address": 4, "bitTargetType": "int"},
			{"tag": "u${unitId}_${functionCode}_${type}_${address}", "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": "200-203", "maxRegistersPerRequest": 50},
			{"tag": "reg", "type": "16uint", "functionCode": 3, "objectsCount": 2, "address": "200-203"}],
		"attributeUpdates": [{"tag": "limit", "type": "16uint", "functionCode": 6, "objectsCount": 1, "address": 30}],
		"rpc": {"setCoil": {"type": "bits", "functionCode": 5, "objectsCount": 1, "address": 7}}}]},
		"slave": {"sendDataToThingsBoard": false}}`, s.Addr()[len("127.0.0.1:"):])
	c, log, err := load(t, doc)
	require.NoError(t, err)
	require.Contains(t, log, "keys=\"[master.slaves[].odd strange]\"")
	h, stop := run(t, c)
	h.Eventually(t, "readings", func() bool { return h.last("Temp", "t") != "" })
	rpc, _ := connector.As[connector.RPCHandler](c)
	_, err = rpc.HandleRPC(t.Context(), connector.RPCRequest{Device: "Temp", Method: "setCoil", Params: json.RawMessage("1")})
	require.NoError(t, err)
	upd, _ := connector.As[connector.AttributeUpdater](c)
	require.NoError(t, upd.UpdateAttributes(t.Context(), connector.AttributeUpdate{Device: "Temp", Attributes: []telemetry.Point{{Key: "limit", Value: telemetry.Int(0x0102)}}}))
	stop()
	for key, want := range map[string]string{
		"t": "-20.0", "pi": "3.142", "coils": "[1,0,1,1]", "state": "STOP", "u2_3_16uint_202": "3072", "reg_200": "2560", "reg_202": "3072",
	} {
		require.Equal(t, want, h.last("Temp", key), key)
	}
	require.True(t, h.series("Temp", "state")[0].Attribute)
	require.Equal(t, &telemetry.ReportPolicy{Mode: telemetry.OnChange, Period: 5 * time.Second}, h.series("Temp", "pi")[0].Report)
	require.Equal(t, telemetry.OnChangeOrPeriod, h.series("Temp", "t")[0].Report.Mode)
	require.Equal(t, telemetry.Device{Name: "Temp", Profile: "sensor"}, h.series("Temp", "t")[0].Device)
	require.True(t, u.Bit(modbus.Coil, 7))
	require.EqualValues(t, 0x0201, u.Word(modbus.Holding, 30), "the byte order of the slave is LITTLE")
}

func TestTheOldFormWithAServerIsRead(t *testing.T) {
	s := serve(t, modbustest.Listen)
	s.Unit(1).SetWords(modbus.Input, 1, 42)
	c, _, err := load(t, fmt.Sprintf(`{"server": {"type": "tcp", "host": "127.0.0.1", "port": %s, "method": "socket", "timeout": 35,
		"byteOrder": "BIG", "wordOrder": "BIG", "retries": true, "baudrate": null, "devices": [{"unitId": 1, "deviceName": "T",
		"attributesPollPeriod": 5000, "timeseriesPollPeriod": 30,
		"timeseries": [{"tag": "b", "type": "16int", "functionCode": 4, "objectsCount": 1, "address": 1}],
		"rpc": {"setValue": {"type": "bits", "functionCode": 5, "objectsCount": 1, "address": 31}}}]}}`, s.Addr()[len("127.0.0.1:"):]))
	require.NoError(t, err)
	h, _ := run(t, c)
	h.Eventually(t, "several polls", func() bool { return len(h.series("T", "b")) > 2 })
	require.Equal(t, "42", h.last("T", "b"))
}

func TestAProfileInAFileIsAMeter(t *testing.T) {
	s := serve(t, modbustest.Listen)
	s.Unit(1).SetWords(modbus.Holding, 20, 2301)
	c, _, err := load(t, fmt.Sprintf(`{"master": {"slaves": [{"host": "127.0.0.1", "port": %s, "unitId": 1, "deviceName": "M", "pollPeriod": 30,
		"profile": "acrel-adw300", "profileOptions": {"groups": ["measurement"], "ratios": {"pt": 10}}}]}}`, s.Addr()[len("127.0.0.1:"):]))
	require.NoError(t, err)
	h, _ := run(t, c)
	h.Eventually(t, "a reading", func() bool { return h.last("M", "voltage_l1") != "" })
	require.Equal(t, telemetry.Float(2301), h.series("M", "voltage_l1")[0].Value)

	_, _, err = load(t, slave(`, "profile": "nope"`))
	require.ErrorContains(t, err, `master.slaves[0].profile: "nope" is not known; there are: acrel-adw300`)
	_, _, err = load(t, slave(`, "profile": "acrel-adw300", "profileOptions": {"groups": ["x"]}`))
	require.ErrorContains(t, err, `master.slaves[0].profileOptions: meter: no group "x"`)
}

func TestMistakesInAFileAreNamed(t *testing.T) {
	tag := func(members string) string {
		return slave(`, "timeseries": [{"tag": "ok", "type": "16int", "functionCode": 3, "address": 0}, {` + members + `}]`)
	}
	tests := []struct{ doc, want string }{
		{`[]`, "is not an object"},
		{`{}`, "master: is missing"},
		{`{"master": {"slaves": 5}}`, "master.slaves: 5 is not a list"},
		{`{"master": {"slaves": [1]}}`, "master.slaves[0]: is not an object"},
		{`{"master": {"slaves": [{}]}}`, "master.slaves[0].deviceName: is missing"},
		{`{"master": {"slaves": [{}]}}`, "master.slaves[0].host: is missing"},
		{`{"compatibility": "yes", "master": {"slaves": []}}`, `compatibility: "yes" is not one of thingsboard`},
		{`{"master": {"slaves": []}, "slave": {"sendDataToThingsBoard": true, "type": "serial"}}`, "slave.port: is missing"},
		{`{"master": {"slaves": []}, "slave": {"sendDataToThingsBoard": true, "values": {"holding_registers": {"timeseries": [{"tag": "x", "type": "16int"}]}}}}`, "slave.values.holding_registers.timeseries[0].address: is missing"},
		{slave(`, "type": "sctp"`), `master.slaves[0].type: "sctp" is not one of tcp, udp, serial`},
		{slave(`, "method": "binary"`), `master.slaves[0].method: "binary" is not one of socket, rtu, ascii, tls`},
		{slave(`, "type": "udp", "method": "tls"`), `master.slaves[0].type: TLS runs over type tcp only`},
		{slave(`, "tls": {"password": "x"}`), "master.slaves[0].tls.password: key files with a password are not supported"},
		{slave(`, "uplink_converter": "Mine"`), `master.slaves[0].uplink_converter: "Mine"`},
		{slave(`, "unitId": 256`), `master.slaves[0].unitId: 256 is not a whole number from 0 to 255`},
		{slave(`, "byteOrder": "MIDDLE", "timeseries": [{"tag": "a", "type": "16int", "functionCode": 3, "address": 0}]`), `master.slaves[0].byteOrder: "middle" is not one of big, little`},
		{slave(`, "retries": -1`), "master.slaves[0].retries"},
		{slave(`, "reportStrategy": {"type": "SOMETIMES"}`), `master.slaves[0].reportStrategy.type: "sometimes"`},
		{tag(`"type": "16int", "functionCode": 3, "address": 0`), "master.slaves[0].timeseries[1].tag: is missing"},
		{tag(`"tag": "x", "functionCode": 3, "address": 0`), "master.slaves[0].timeseries[1].type: is missing"},
		{tag(`"tag": "x", "type": "string", "encoding": "ebcdic", "functionCode": 3, "address": 0`), `timeseries[1].encoding: "ebcdic" is not`},
		{tag(`"tag": "x", "type": "16int", "min": 5, "max": 1, "functionCode": 3, "address": 0`), `register x: min: 5 is not below max, 1`},
		{tag(`"tag": "x", "type": "32int", "functionCode": 3, "objectsCount": 1, "address": 0`), "objectsCount: 1 is too few"},
		{tag(`"tag": "x", "type": "16int", "functionCode": 3, "address": 70000`), `master.slaves[0].timeseries[1].address: 70000`},
		{tag(`"tag": "x", "type": "16int", "functionCode": 3, "address": "9-5"`), `master.slaves[0].timeseries[1].address: "9-5" is not a range`},
		{tag(`"tag": "x", "type": "16int", "functionCode": 3, "address": "0-20000"`), `address: "0-20000": a range has 10000 readings at most, and a slave 65536`},
		{tag(`"tag": "x", "type": "16int", "functionCode": 5, "address": 5`), "master.slaves[0].timeseries[1].functionCode: 5 does not read"},
		{tag(`"tag": "x", "type": "16int", "functionCode": 1, "address": 5`), "register x: type: a coil holds bits"},
		{tag(`"tag": "x", "type": "bits", "functionCode": 3, "address": 5, "bit": 16`), "register x: bit: 16 is out of range"},
		{tag(`"tag": "x", "type": "16int", "functionCode": 3, "address": 5, "divider": "ten"`), `timeseries[1].divider: "ten" is not a number`},
		{slave(`, "attributeUpdates": [{"tag": "x", "type": "16int", "functionCode": 3, "address": 5}]`), "attribute x: function: 3 does not write"},
	}
	for _, tt := range tests {
		_, _, err := load(t, tt.doc)
		require.ErrorContains(t, err, tt.want, tt.doc)
	}
}

func TestAllMistakesOfAFileAreListed(t *testing.T) {
	_, _, err := load(t, `{"master": {"slaves": [
		{"type": "sctp", "deviceName": "a", "unitId": 1},
		{"type": "serial", "method": "rtu", "port": "/dev/ttyS0", "deviceName": "b", "unitId": 0,
		 "timeseries": [{"tag": "x", "type": "16int", "functionCode": 3, "address": 0}]},
		{"type": "serial", "method": "rtu", "port": "/dev/ttyS0", "parity": "X", "deviceName": "c", "unitId": 5}]}}`)
	require.ErrorContains(t, err, "slaves[0].type")
	require.ErrorContains(t, err, "slaves[1]: device b: unit: 0 is not in 1 to 247")
	require.ErrorContains(t, err, `slaves[2].parity: "x"`)
}

func TestTimeoutsAreLimitedOnlyOnASharedBus(t *testing.T) {
	one := slave(`, "timeout": 35, "timeseries": [{"tag": "x", "type": "16int", "functionCode": 3, "address": 0}]`)
	_, log, err := load(t, one)
	require.NoError(t, err)
	require.Empty(t, log)
	var f map[string]map[string][]any
	require.NoError(t, json.Unmarshal([]byte(one), &f))
	f["master"]["slaves"] = append(f["master"]["slaves"], f["master"]["slaves"][0])
	two, err := json.Marshal(f)
	require.NoError(t, err)
	_, log, err = load(t, string(two))
	require.NoError(t, err)
	require.Contains(t, log, "limit=3s slaves=2")
}

// A range is refused before it is expanded, however often it is there.
func TestRangesOfAddressesAreBounded(t *testing.T) {
	tag := func(addresses string) string {
		return `{"tag": "x", "type": "16uint", "functionCode": 3, "address": "` + addresses + `"}`
	}
	load2 := func(tags ...string) error {
		_, _, err := load(t, slave(`, "timeseries": [`+strings.Join(tags, ",")+`]`))
		return err
	}
	require.NoError(t, load2(tag("0-9999")))
	require.ErrorContains(t, load2(tag("0-10000")), "10000 readings at most")
	require.NoError(t, load2(tag("0x0-0x1F")))
	require.NoError(t, load2(tag("65534-65535")))
	require.ErrorContains(t, load2(tag("65535-65536")), "not a range within")
	require.NoError(t, load2(`{"tag": "x", "type": "string", "functionCode": 3, "objectsCount": 10, "address": "0-65529"}`), "it is the readings that count")
	var many []string
	for i := range 7 {
		many = append(many, tag(fmt.Sprintf("%d-%d", i, i+9999)))
	}
	require.NoError(t, load2(many[:6]...))
	require.ErrorContains(t, load2(many...), "a slave 65536")
}

func FuzzFile(f *testing.F) {
	f.Add(slave(`, "timeseries": [{"tag": "x", "type": "32float", "functionCode": 3, "objectsCount": 2, "address": "0-9", "divider": 10, "bit": 3}]`))
	f.Add(`{"server": {"type": "serial", "port": "COM3", "devices": [{"unitId": 1, "deviceName": "T", "rpc": {"a": {"type": "bits", "functionCode": 5, "address": 31}}}]}}`)
	f.Add(slave(`, "profile": "acrel-adw300", "profileOptions": {"ratios": "meter"}`))
	f.Add(strings.Replace(serverFile(`"type": "udp", "port": 5026`), "{", `{"compatibility": "thingsboard", `, 1))
	f.Add(slave(`, "tls": {"certfile": "a", "verify": false}, "method": "ascii", "connectAttemptCount": 5, "timeseries": [{"tag": "x", "type": "bits", "functionCode": 1, "objectsCount": 20, "address": 1, "min": 1, "encoding": "latin-1"}]`))
	f.Add(slave(`, "timeseries": [{"tag": "x", "type": "16uint", "functionCode": 3, "address": "0-9999"}]`))
	f.Add(strings.Replace(slave(`, "timeseries": [{"tag": "x", "type": "16uint", "functionCode": 3, "address": "0-65535"}]`), "16", "8", 1))
	f.Fuzz(func(t *testing.T, doc string) {
		c, _, err := load(t, doc)
		require.Equal(t, err != nil, c == nil)
	})
}
