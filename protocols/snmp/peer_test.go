package snmp_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// users are one for each protocol that net-snmp's agent is built with.
func users() map[string]snmp.User {
	list := make(map[string]snmp.User)
	for _, auth := range []string{"MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512"} {
		for _, priv := range []string{"", "DES", "AES"} {
			u := snmp.User{Auth: auth, AuthPassword: "authpass1", Priv: priv, PrivPassword: "privpass1"}
			u.Name = strings.ToLower(strings.ReplaceAll(auth+priv, "-", ""))
			list[u.Name] = u
		}
	}
	return list
}

// level is the security level of u in net-snmp's words.
func level(u snmp.User) string {
	switch {
	case u.Priv != "":
		return "authPriv"
	case u.Auth != "":
		return "authNoPriv"
	default:
		return "noAuthNoPriv"
	}
}

func snmpd(t *testing.T) *peer.SNMPAgent {
	t.Helper()
	lines := []string{"rocommunity public 127.0.0.1", "rwcommunity private 127.0.0.1", "sysName lab", "createUser nobody", "rouser nobody noauth"}
	for name, u := range users() {
		create := fmt.Sprintf("createUser %s %s %q", name, u.Auth, u.AuthPassword)
		if u.Priv != "" {
			create += fmt.Sprintf(" %s %q", u.Priv, u.PrivPassword)
		}
		lines = append(lines, create, "rwuser "+name+" "+strings.TrimPrefix(strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(level(u), "NoPriv"), "Priv")), "no"))
	}
	return peer.SNMPD{Lines: lines}.Start(t)
}

// system are objects of every agent.
func system() []snmp.Object {
	return []snmp.Object{
		get("name", "1.3.6.1.2.1.1.5.0"), get("uptime", "1.3.6.1.2.1.1.3.0"), get("id", "1.3.6.1.2.1.1.2.0"),
		get("missing", "1.3.6.1.2.1.1.99.0"),
		{Key: "interfaces", Method: snmp.BulkTable, OIDs: []string{"1.3.6.1.2.1.2.2"}},
		{Key: "system", Method: snmp.Walk, OIDs: []string{"1.3.6.1.2.1.1"}},
	}
}

func TestPeerSnmpdVersionsAndProtocols(t *testing.T) {
	a := snmpd(t)
	var devices []snmp.Device
	add := func(d snmp.Device) {
		d.Address, d.Poll, d.Objects, d.Timeout = a.Addr(), time.Second, system(), 5*time.Second
		devices = append(devices, d)
	}
	add(snmp.Device{Name: "v1", Version: snmp.V1})
	add(snmp.Device{Name: "v2c"})
	add(snmp.Device{Name: "tcp", TCP: true})
	add(snmp.Device{Name: "nobody", Version: snmp.V3, User: &snmp.User{Name: "nobody"}})
	for name, u := range users() {
		add(snmp.Device{Name: name, Version: snmp.V3, User: &u})
	}
	for i, d := range devices { // the agent has one processor for all of them
		devices[i].Objects = slices.DeleteFunc(d.Objects, func(o snmp.Object) bool {
			return o.Key == "interfaces" && d.Name != "v2c" && d.Name != "tcp" && d.Name != "sha256aes"
		})
	}
	h, _ := run(t, snmp.New(snmp.Config{Devices: devices}))
	for _, d := range devices {
		h.wants(t, d.Name, "name", `"lab"`)
		h.Eventually(t, d.Name+" has all keys", func() bool {
			return h.last(d.Name, "system") != "" && h.last(d.Name, "uptime") != ""
		})
		require.Contains(t, h.last(d.Name, "id"), "1.3.6.1.4.1.8072.3.2.")
		require.Empty(t, h.last(d.Name, "missing"))
		if len(d.Objects) < len(system()) {
			continue
		}
		var table map[string]map[string]any
		require.NoError(t, json.Unmarshal([]byte(h.last(d.Name, "interfaces")), &table))
		require.Contains(t, table, "1")
		require.EqualValues(t, 1, table["1"]["1"])
	}
}

func TestPeerSnmpdRefusesWrongCredentials(t *testing.T) {
	a := snmpd(t)
	device := func(name string, u snmp.User) snmp.Device {
		return snmp.Device{Name: name, Address: a.Addr(), Version: snmp.V3, User: &u, Poll: 20 * time.Millisecond, Retries: -1, Timeout: 5 * time.Second, Objects: system()[:1]}
	}
	c := snmp.New(snmp.Config{Devices: []snmp.Device{
		device("password", snmp.User{Name: "shaaes", Auth: "SHA", AuthPassword: "authpass2", Priv: "AES", PrivPassword: "privpass1"}),
		device("user", snmp.User{Name: "stranger", Auth: "SHA", AuthPassword: "authpass1"}),
	}})
	h, _ := run(t, c)
	h.Eventually(t, "both are refused", func() bool { return h.log.count("device does not answer") == 2 })
	require.Equal(t, 2, h.log.count("the user's name, protocols or passwords are not those of the agent"), h.log.String())
	require.Empty(t, h.Readings(false))
	require.NotContains(t, h.log.String(), "authpass")
}

func TestPeerSnmpdIsWritten(t *testing.T) {
	a := snmpd(t)
	c := connect(snmp.Device{
		Name: "d", Address: a.Addr(), Community: "private", Poll: 20 * time.Millisecond, Timeout: 5 * time.Second,
		Objects: []snmp.Object{get("location", "1.3.6.1.2.1.1.6.0")},
		RPC:     []snmp.Command{{Name: "move", Method: snmp.Set, OIDs: []string{"1.3.6.1.2.1.1.6.0"}}},
	})
	h, _ := run(t, c)
	got, err := call(t, c, "move", `"hall 3"`)
	require.NoError(t, err)
	require.Equal(t, `"hall 3"`, got)
	h.wants(t, "d", "location", `"hall 3"`)
	_, err = call(t, c, "set", `"method=set;oid=1.3.6.1.2.1.1.5.0;value=other;"`)
	require.EqualError(t, err, "snmp: d set: 1.3.6.1.2.1.1.5.0: the agent answers notWritable (error 17)")
}

func TestPeerSnmpdIsMetAgainAfterARestart(t *testing.T) {
	a := snmpd(t)
	u := users()["sha256aes"]
	var devices []snmp.Device
	for name, d := range map[string]snmp.Device{"v2c": {}, "v3": {Version: snmp.V3, User: &u}, "tcp": {TCP: true}} {
		d.Name, d.Address, d.Poll, d.Timeout, d.Objects = name, a.Addr(), 50*time.Millisecond, time.Second, system()[:2]
		devices = append(devices, d)
	}
	h, _ := run(t, snmp.New(snmp.Config{Devices: devices}))
	for _, d := range devices {
		h.wants(t, d.Name, "name", `"lab"`)
	}
	a.Stop()
	h.Eventually(t, "all are missed", func() bool { return h.log.count("device does not answer") == 3 })
	a.Restart()
	h.Eventually(t, "all are back", func() bool { return h.log.count("device answers") == 6 })
}

// A trapCase is a way to send a notification.
type trapCase struct {
	name string
	args []string // of snmptrap and snmpinform, without the address
}

func TestPeerSnmptrapAndSnmpinform(t *testing.T) {
	port := peer.FreePacketPort(t)
	addr := "127.0.0.1:" + port
	var list []snmp.User
	var cases []trapCase
	for _, name := range []string{"md5", "shades", "shaaes", "sha256aes", "sha512aes"} {
		u := users()[name]
		list = append(list, u)
		args := []string{"-v3", "-l", level(u), "-u", u.Name, "-a", u.Auth, "-A", u.AuthPassword}
		if u.Priv != "" {
			args = append(args, "-x", u.Priv, "-X", u.PrivPassword)
		}
		cases = append(cases, trapCase{"v3 " + name, args})
	}
	cases = append(cases, trapCase{"v2c", []string{"-v2c", "-c", "public"}})
	c := snmp.New(snmp.Config{
		Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}},
		Traps: &snmp.Traps{Address: addr, Users: list, Mappings: []snmp.TrapMapping{
			{Trap: "1.3.6.1.6.3.1.1.5.*", Key: "link", Objects: []snmp.TrapObject{
				{Key: "index", OID: "1.3.6.1.2.1.2.2.1.1"}, {Key: "name", OID: "1.3.6.1.2.1.2.2.1.2", Attribute: true},
			}},
		}},
	})
	h, _ := run(t, c)
	h.Eventually(t, "listening", func() bool { return h.log.count("traps are received") == 1 })
	state := t.TempDir()
	want := 0
	for i, test := range cases {
		for _, program := range []string{"snmptrap", "snmpinform"} {
			args := append([]string{}, test.args...)
			args = append(args, "-t", "5", "-r", "3", addr, "", "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.7", "i", fmt.Sprint(7+i), "1.3.6.1.2.1.2.2.1.2.7", "s", "eth7")
			out, err := peer.NetSNMP(t, state, program, args...)
			require.NoError(t, err, "%s %s: %s", program, test.name, out)
			want++
			h.Eventually(t, program+" "+test.name, func() bool { return len(h.series("d", "index")) == want })
			h.wants(t, "d", "index", fmt.Sprint(7+i))
			h.wants(t, "d", "link", `"1.3.6.1.6.3.1.1.5.3"`)
			h.wants(t, "d", "name", `"eth7"`)
		}
	}
	out, err := peer.NetSNMP(t, state, "snmptrap", "-v1", "-c", "public", addr, "1.3.6.1.4.1.8072", "127.0.0.1", "2", "0", "55", "1.3.6.1.2.1.2.2.1.1.7", "i", "99")
	require.NoError(t, err, out)
	h.wants(t, "d", "index", "99")
}

func TestPeerNotificationsOfStrangersAreRefused(t *testing.T) {
	addr := "127.0.0.1:" + peer.FreePacketPort(t)
	u := users()["shaaes"]
	c := snmp.New(snmp.Config{
		Devices: []snmp.Device{{Name: "d", Address: "127.0.0.1"}},
		Traps:   &snmp.Traps{Address: addr, Users: []snmp.User{u}},
	})
	h, _ := run(t, c)
	h.Eventually(t, "listening", func() bool { return h.log.count("traps are received") == 1 })
	state := t.TempDir()
	send := func(program string, args ...string) error {
		args = append(append([]string{}, args...), "-t", "1", "-r", "0", addr, "", "1.3.6.1.6.3.1.1.5.3")
		_, err := peer.NetSNMP(t, state, program, args...)
		return err
	}
	right := []string{"-v3", "-u", u.Name, "-a", "SHA", "-A", u.AuthPassword, "-x", "AES", "-X", u.PrivPassword, "-l"}
	for name, args := range map[string][]string{
		"community":      {"-v2c", "-c", "guess"},
		"no security":    {"-v3", "-u", u.Name, "-l", "noAuthNoPriv"},
		"no encryption":  append(append([]string{}, right...), "authNoPriv"),
		"wrong password": {"-v3", "-u", u.Name, "-l", "authPriv", "-a", "SHA", "-A", "authpass2", "-x", "AES", "-X", u.PrivPassword},
		"unknown user":   {"-v3", "-u", "stranger", "-l", "noAuthNoPriv"},
	} {
		require.Error(t, send("snmpinform", args...), name)
		require.NoError(t, send("snmptrap", args...), name)
	}
	require.NoError(t, send("snmpinform", append(right, "authPriv")...))
	h.Eventually(t, "the right one", func() bool { return len(h.series("d", "trap")) == 1 })
	require.Len(t, h.Readings(false), 1)
	require.Equal(t, 1, h.log.count("trap is refused"), h.log.String())
	require.NotContains(t, h.log.String(), "authpass")
}
