package modbus_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// serverFile is the gateway as a slave, at members like "type" and "port".
func serverFile(members string) string {
	return `{"master": {"slaves": []}, "slave": {` + members + `, "unitId": 1, "deviceName": "Own", "deviceType": "panel", "pollPeriod": 50,
		"sendDataToThingsBoard": true, "byteOrder": "BIG", "wordOrder": "BIG",
		"identity": {"vendorName": "Gridlinks", "productCode": "GW", "vendorUrl": "", "productName": "Gateway", "ModelName": "One"},
		"values": {
			"holding_registers": [{
				"attributes": [{"address": 1, "type": "string", "tag": "name", "objectsCount": 2, "value": "BOX"}],
				"timeseries": [{"address": 10, "type": "16int", "tag": "level", "objectsCount": 1, "value": "-7"},
					{"address": 20, "type": "32float", "tag": "ratio", "objectsCount": 2, "value": 2.5}],
				"attributeUpdates": [{"address": 30, "type": "32int", "tag": "limit", "functionCode": 6, "objectsCount": 2, "value": 1243}],
				"rpc": [{"address": 3, "type": "bits", "tag": "relay", "functionCode": 5, "objectsCount": 1, "value": 1}]}],
			"coils_initializer": {"timeseries": [{"address": 5, "type": "bits", "tag": "on", "objectsCount": 2, "value": [false, true]}]},
			"input_registers": {"timeseries": [{"address": 7, "type": "16uint", "tag": "in", "objectsCount": 1, "value": 42}]},
			"discrete_inputs": {"attributes": [{"address": 0, "type": "bits", "tag": "door", "objectsCount": 1, "value": true}]}}}}`
}

// serverLoopback runs the gateway as a slave on a port of the loopback address.
func serverLoopback(t *testing.T, typ, method, more string) (h *host, c connector.Connector, addr string) {
	t.Helper()
	port := peer.FreePort(t)
	c, _, err := load(t, serverFile(fmt.Sprintf(`"type": %q, "method": %q, "host": "127.0.0.1", "port": %s%s`, typ, method, port, more)))
	require.NoError(t, err)
	h, _ = run(t, c)
	return h, c, "127.0.0.1:" + port
}

func exchange(t *testing.T, tr modbus.Transport, pdu ...byte) []byte {
	t.Helper()
	answer, err := tr.Exchange(t.Context(), 1, pdu, 10*time.Second)
	require.NoError(t, err)
	return append([]byte(nil), answer...)
}

// reach dials until the server listens.
func reach(t *testing.T, address string) (tr modbus.Transport) {
	t.Helper()
	await(t, "the server is there", func() bool {
		var err error
		if tr, err = modbus.Dial(t.Context(), address); err != nil {
			return false
		}
		if _, err = tr.Exchange(t.Context(), 1, []byte{3, 0, 10, 0, 1}, time.Second); err != nil {
			_ = tr.Close()
		}
		return err == nil
	})
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

// serverTransports are the ways to a server on a network, by type and method.
func serverTransports(t *testing.T) map[string][2]string {
	t.Helper()
	certs := peer.NewCerts(t)
	security := fmt.Sprintf(`, "security": {"certfile": %q, "keyfile": %q, "cafile": %q}`, certs.ServerCert, certs.ServerKey, certs.CA)
	client := "?" + url.Values{"ca": {certs.CA}, "cert": {certs.ClientCert}, "key": {certs.ClientKey}}.Encode()
	return map[string][2]string{
		"tcp socket": {"", ""}, "udp socket": {"", ""}, "tcp rtu": {"", ""}, "udp rtu": {"", ""}, "tcp ascii": {"", ""},
		"udp ascii": {"", ""}, "tcp tls": {security, client},
	}
}

func TestTheGatewayIsASlaveOverEachTransport(t *testing.T) {
	for name, extra := range serverTransports(t) {
		t.Run(name, func(t *testing.T) {
			var typ, method string
			_, err := fmt.Sscan(name, &typ, &method)
			require.NoError(t, err)
			h, c, addr := serverLoopback(t, typ, method, extra[0])
			scheme := map[string]string{"socket": typ, "tls": "tls"}[method]
			if scheme == "" {
				scheme = method + "over" + typ
			}
			tr := reach(t, scheme+"://"+addr+extra[1])
			serverHolds(t, tr)
			exchange(t, tr, 6, 0, 10, 0, 99)
			h.Eventually(t, "what the master wrote is published", func() bool { return h.last("Own", "level") == "99" })
			require.Equal(t, telemetry.Device{Name: "Own", Profile: "panel"}, h.series("Own", "level")[0].Device)
			require.NoError(t, c.(*modbus.Connector).UpdateAttributes(t.Context(), connector.AttributeUpdate{
				Device: "Own", Attributes: []telemetry.Point{{Key: "limit", Value: telemetry.Int(70000)}},
			}))
			require.Equal(t, []byte{3, 4, 0, 1, 0x11, 0x70}, exchange(t, tr, 3, 0, 30, 0, 2))
		})
	}
}

// serverHolds checks the initial values, the exceptions and the identity.
func serverHolds(t *testing.T, tr modbus.Transport) {
	t.Helper()
	for _, tt := range []struct{ request, answer []byte }{
		{[]byte{3, 0, 1, 0, 2}, []byte{3, 4, 'B', 'O', 'X', 0}},
		{[]byte{3, 0, 10, 0, 1}, []byte{3, 2, 0xFF, 0xF9}},
		{[]byte{3, 0, 20, 0, 2}, []byte{3, 4, 0x40, 0x20, 0, 0}},
		{[]byte{3, 0, 30, 0, 2}, []byte{3, 4, 0, 0, 0x04, 0xDB}},
		{[]byte{1, 0, 3, 0, 1}, []byte{1, 1, 1}},
		{[]byte{1, 0, 5, 0, 2}, []byte{1, 1, 2}},
		{[]byte{4, 0, 7, 0, 1}, []byte{4, 2, 0, 42}},
		{[]byte{2, 0, 0, 0, 1}, []byte{2, 1, 1}},
		{[]byte{3, 0, 10, 0, 2}, []byte{0x83, modbus.IllegalDataAddress}},
		{[]byte{4, 0, 8, 0, 1}, []byte{0x84, modbus.IllegalDataAddress}},
		{[]byte{6, 0, 11, 0, 1}, []byte{0x86, modbus.IllegalDataAddress}},
		{[]byte{5, 0, 9, 0xFF, 0}, []byte{0x85, modbus.IllegalDataAddress}},
		{[]byte{5, 0, 3, 1, 2}, []byte{0x85, modbus.IllegalDataValue}},
		{[]byte{3, 0, 10, 0, 126}, []byte{0x83, modbus.IllegalDataValue}},
		{[]byte{3, 0xFF, 0xFF, 0, 2}, []byte{0x83, modbus.IllegalDataAddress}},
		{[]byte{16, 0, 20, 0, 2, 4, 0, 1, 0, 2}, []byte{16, 0, 20, 0, 2}},
		{[]byte{3, 0, 20, 0, 2}, []byte{3, 4, 0, 1, 0, 2}},
		{[]byte{15, 0, 5, 0, 2, 1, 1}, []byte{15, 0, 5, 0, 2}},
		{[]byte{1, 0, 5, 0, 2}, []byte{1, 1, 1}},
	} {
		require.Equal(t, tt.answer, exchange(t, tr, tt.request...), "%v", tt.request)
	}
}

func TestTheServerSaysWhoItIs(t *testing.T) {
	_, _, addr := serverLoopback(t, "tcp", "socket", "")
	tr := reach(t, "tcp://"+addr)
	answer := exchange(t, tr, 43, 14, 2, 0)
	require.Equal(t, "\x2b\x0e\x02\x82\x00\x00\x06\x00\x09Gridlinks\x01\x02GW\x02\x00\x03\x00\x04\x07Gateway\x05\x03One", string(answer))
	require.Equal(t, "\x2b\x0e\x04\x82\x00\x00\x01\x04\x07Gateway", string(exchange(t, tr, 43, 14, 4, 4)))
	require.Equal(t, []byte{0xAB, modbus.IllegalDataAddress}, exchange(t, tr, 43, 14, 4, 9))
	require.Equal(t, []byte{0x80 | 8, modbus.IllegalFunction}, exchange(t, tr, 8, 0, 0, 0, 0))
}

func TestASilentOrNoisyMasterCostsNoOtherAndTheirNumberIsLimited(t *testing.T) {
	h, _, addr := serverLoopback(t, "tcp", "socket", `, "maxConnections": 3`)
	tr := reach(t, "tcp://"+addr)
	var d net.Dialer
	noisy, err := d.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	_, err = noisy.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	require.NoError(t, err)
	_, err = noisy.Read(make([]byte, 1))
	require.Error(t, err, "noise was not answered by closing")
	_ = noisy.Close()
	var silent []net.Conn
	await(t, "the limit is met", func() bool {
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			silent = append(silent, c)
		}
		return h.log.count("server has all the masters") > 0
	})
	exchange(t, tr, 3, 0, 10, 0, 1)
	for _, c := range silent {
		_ = c.Close()
	}
	reach(t, "tcp://"+addr) // there is room again
}

func TestAServerWhosePortIsTakenStartsWhenItIsFree(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	c, _, err := load(t, serverFile(`"type": "tcp", "host": "127.0.0.1", "port": `+port))
	require.NoError(t, err)
	h, stop := run(t, c)
	h.Eventually(t, "the failure is logged", func() bool { return h.log.count("server cannot serve") == 1 })
	require.NoError(t, l.Close())
	reach(t, "tcp://127.0.0.1:"+port)
	require.Equal(t, 1, h.log.count("server cannot serve"))
	stop()
	_, err = modbus.Dial(context.Background(), "tcp://127.0.0.1:"+port)
	require.Error(t, err, "the server outlives the run")
}

func FuzzServerFrames(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 10, 0, 1})
	f.Add([]byte(":01030 00A0001F1\r\n"))
	f.Add(binary.LittleEndian.AppendUint16([]byte{1, 43, 14, 1, 0}, 0x1234))
	f.Fuzz(func(t *testing.T, b []byte) { modbus.FeedServer(t, b) })
}
