package snmp_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// FuzzTrap feeds the receiver of notifications.
func FuzzTrap(f *testing.F) {
	f.Add(notify(f, gosnmp.SNMPv2Trap, "public", linkDown, number(base+"1.0", 5)))
	f.Add(notify(f, gosnmp.InformRequest, "public", linkDown))
	f.Add([]byte{0x30, 0x02, 0x02, 0x00})
	discovery := gosnmp.SnmpPacket{
		Version: gosnmp.Version3, MsgFlags: gosnmp.Reportable, SecurityModel: gosnmp.UserSecurityModel,
		SecurityParameters: &gosnmp.UsmSecurityParameters{}, PDUType: gosnmp.GetRequest, MsgMaxSize: 65507,
	}
	if msg, err := discovery.MarshalMsg(); err == nil {
		f.Add(msg)
	}
	d := snmp.NewTrapDecoder(f, []string{"public"}, []snmp.User{
		{Name: "open"},
		{Name: "auth", Auth: "SHA", AuthPassword: "password1"},
		{Name: "priv", Auth: "MD5", AuthPassword: "password1", Priv: "AES", PrivPassword: "password2"},
	}, "engine-1")
	f.Fuzz(func(t *testing.T, msg []byte) {
		trap, report, err := d.Decode(msg)
		if err == nil && report == nil && trap == "" {
			t.Fatal("a notification of nothing")
		}
	})
}

// FuzzAnswer decodes the variables of what an agent might answer.
func FuzzAnswer(f *testing.F) {
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: "public"}
	msg, err := codec.SnmpEncodePacket(gosnmp.GetResponse, []gosnmp.SnmpPDU{
		number(base+"1.0", 5), variable(f, base+"2.0", `STRING "x"`), variable(f, base+"3.0", "Counter64 7"), variable(f, base+"4.0", "OID 1.3.6.1"),
		variable(f, base+"5.0", "IpAddress 192.0.2.1"), variable(f, base+"6.0", "Timeticks 7"),
	}, 0, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer func() { _ = recover() }() // of the library, whose callers recover too
		p, err := codec.SnmpDecodePacket(msg)
		if err != nil {
			return
		}
		for _, v := range p.Variables {
			for _, enc := range []snmp.Encoding{snmp.Auto, snmp.Text, snmp.Hex} {
				got, err := snmp.Decode(v, enc)
				if err == nil && got.Valid() && !json.Valid(got.AppendJSON(nil)) {
					t.Errorf("%v is not JSON", got)
				}
			}
		}
	})
}

// FuzzLoad reads configuration files, and makes calls to what they configure.
func FuzzLoad(f *testing.F) {
	doc, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(doc), "x")
	f.Add(`{"devices": [{"deviceName": "d", "ip": "h", "version": "v3", "security": {"username": "u"}}], "traps": {}}`, "method=get;oid=1.3.6;")
	f.Add(`{"oids": {"a": "1.3"}, "devices": [{"deviceName": "d", "ip": "h", "telemetry": [{"key": "k", "oid": "a.1"}]}]}`, `{"oid": "a.1", "value": 5}`)
	f.Fuzz(func(t *testing.T, doc, params string) {
		cfg, err := snmp.Load(json.RawMessage(doc), connector.Env{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatalf("a configuration that was loaded is not valid: %v", err)
		}
		c := snmp.New(cfg)
		for _, d := range cfg.Devices {
			quoted, _ := json.Marshal(params)
			for _, p := range []json.RawMessage{json.RawMessage(params), quoted} {
				if v, err := c.HandleRPC(t.Context(), connector.RPCRequest{Device: d.Name, Method: "set", Params: p}); err == nil {
					t.Fatalf("a call is carried out by a connector that does not run: %v", v)
				}
			}
		}
	})
}

// FuzzWrite encodes what a command writes.
func FuzzWrite(f *testing.F) {
	f.Add(uint8(1), "5")
	f.Add(uint8(7), "00:1b")
	f.Add(uint8(8), "1.3.6")
	f.Fuzz(func(t *testing.T, typ uint8, text string) {
		pdu, err := snmp.Encode("1.3.6.1", snmp.Syntax(typ), telemetry.String(text))
		if err != nil {
			return
		}
		codec := &gosnmp.GoSNMP{Version: gosnmp.Version2c}
		if _, err := codec.SnmpEncodePacket(gosnmp.SetRequest, []gosnmp.SnmpPDU{pdu}, 0, 0); err != nil && !strings.Contains(err.Error(), "OID") {
			t.Fatalf("%v cannot be sent: %v", pdu, err)
		}
	})
}
