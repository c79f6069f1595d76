package tbproto_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// protoc turns a message into text, or text into a message.
type protoc struct {
	t       *testing.T
	program string
}

func (p protoc) run(option, message string, in []byte) []byte {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.program, "--proto_path=testdata", option+"=gateway."+message, "gateway.proto")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(p.t, err, stderr.String())
	return out
}

func (p protoc) encode(message, text string) []byte { return p.run("--encode", message, []byte(text)) }

// kvText is a value in the text format. It says every field, which protoc
// leaves out where it is the default.
func kvText(key string, v telemetry.Value) string {
	value := ""
	switch v.Kind() {
	case telemetry.KindBool:
		value = fmt.Sprintf("type: BOOLEAN_V bool_v: %t", v.Bool())
	case telemetry.KindInt:
		value = fmt.Sprintf("type: LONG_V long_v: %d", v.Int())
	case telemetry.KindFloat:
		value = "type: DOUBLE_V double_v: " + strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case telemetry.KindString:
		value = "type: STRING_V string_v: " + quote(v.String())
	case telemetry.KindJSON:
		value = "type: JSON_V json_v: " + quote(v.String())
	}
	return fmt.Sprintf("kv { key: %s %s }", quote(key), value)
}

// quote quotes s for the text format, whose escapes are those of C.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		fmt.Fprintf(&b, `\%03o`, s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// The builders write the bytes that Google's implementation writes, and the
// decoders read them.
func TestPeerProtocAgreesOnTelemetryAndAttributes(t *testing.T) {
	pc := protoc{t, peer.Need(t, "protoc")}
	var tb tbproto.TelemetryBuilder
	var ab tbproto.AttributesBuilder
	var telemetryText, attributesText strings.Builder
	for _, device := range []string{"Boiler 7", "grün", strings.Repeat("n", 200)} {
		tb.Device(device)
		ab.Device(device)
		fmt.Fprintf(&telemetryText, "msg { device: %s post {", quote(device))
		fmt.Fprintf(&attributesText, "msg { device: %s post {", quote(device))
		for _, ts := range []int64{0, 1_700_000_000_000, -5} {
			tb.At(ts)
			fmt.Fprintf(&telemetryText, "list { ts: %d ", ts)
			for i, v := range values(t) {
				key := fmt.Sprintf("k%d", i)
				require.True(t, tb.Add(key, v))
				telemetryText.WriteString(kvText(key, v))
			}
			telemetryText.WriteString("}")
		}
		for i, v := range values(t) {
			key := fmt.Sprintf("k%d", i)
			require.True(t, ab.Add(key, v))
			attributesText.WriteString(kvText(key, v))
		}
		telemetryText.WriteString("} }")
		attributesText.WriteString("} }")
	}
	theirs := pc.encode("GatewayTelemetry", telemetryText.String())
	require.Equal(t, theirs, tb.AppendTo(nil))
	groups, err := tbproto.DecodeTelemetry(theirs)
	require.NoError(t, err)
	require.Len(t, groups, 3)
	for _, g := range groups {
		for i, v := range values(t) {
			require.Equal(t, v, g.Telemetry[len(values(t))+i].Value)
		}
	}
	theirs = pc.encode("GatewayAttributes", attributesText.String())
	require.Equal(t, theirs, ab.AppendTo(nil))
	groups, err = tbproto.DecodeAttributes(theirs)
	require.NoError(t, err)
	require.Len(t, groups, 3)
	require.Len(t, groups[2].Attributes, len(values(t)))
}

func TestPeerProtocAgreesOnTheOtherMessages(t *testing.T) {
	pc := protoc{t, peer.Need(t, "protoc")}
	points := []telemetry.Point{{Key: "setpoint", Value: telemetry.Float(21.5), TS: 1_700_000_000_000}}
	const pointText = `ts: 1700000000000 kv { key: "setpoint" type: DOUBLE_V double_v: 21.5 }`
	for message, c := range map[string]struct {
		text string
		ours interface{ AppendTo([]byte) []byte }
	}{
		"Connect":           {`device: "A" profile: "meter"`, tbproto.Connect{Device: "A", Profile: "meter"}},
		"Disconnect":        {`device: "A"`, tbproto.Disconnect{Device: "A"}},
		"RpcResponse":       {`device: "A" id: -2 data: "{}"`, tbproto.RPCResponse{Device: "A", ID: -2, Data: "{}"}},
		"AttributesRequest": {`id: 300 device: "A" client: true keys: "a" keys: ""`, tbproto.AttributesRequest{ID: 300, Device: "A", Client: true, Keys: []string{"a", ""}}},
		"AttributesResponse": {
			`device: "A" response { id: 1 client {` + pointText + `} shared {` + pointText + `} multiple: true error: "e" }`,
			tbproto.AttributesResponse{Device: "A", ID: 1, Client: points, Shared: points, Multiple: true, Error: "e"},
		},
		"AttributesUpdate": {
			`device: "A" update { updated {` + pointText + `} deleted: "x" }`,
			tbproto.AttributesUpdate{Device: "A", Points: points, Deleted: []string{"x"}},
		},
		"RpcRequest": {
			`device: "A" request { id: 4 method: "set" params: "{}" oneway: true }`,
			tbproto.RPCRequest{Device: "A", ID: 4, Method: "set", Params: "{}", OneWay: true},
		},
	} {
		require.Equal(t, pc.encode(message, c.text), c.ours.AppendTo(nil), message)
	}

	// What a server sends besides is not in the way.
	call, err := tbproto.DecodeRPCRequest(pc.encode("RpcRequest",
		`device: "A" request { id: 4 method: "set" params: "{}" expiration: 1700000000000 id_msb: -1 id_lsb: 5 persisted: true }`))
	require.NoError(t, err)
	require.Equal(t, tbproto.RPCRequest{Device: "A", ID: 4, Method: "set", Params: "{}"}, call)
	answer, err := tbproto.DecodeAttributesResponse(pc.encode("AttributesResponse",
		`device: "A" response { id: 1 shared {`+pointText+`} shared_state: true }`))
	require.NoError(t, err)
	require.Equal(t, tbproto.AttributesResponse{Device: "A", ID: 1, Shared: points}, answer)
}
