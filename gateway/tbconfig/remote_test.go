package tbconfig_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

const remote = `"remoteConfiguration":true`

// remoteRig is a gateway with remote configuration and two connectors.
func remoteRig(t *testing.T, change ...func(*tbconfig.Config)) *rig {
	t.Helper()
	srv := serve(t)
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, remote, inMemory, "one", "two"),
		"one.json":        `{"id":"id-1","device":"D1","password":"` + canary + `","logLevel":"INFO"}`,
		"two.json":        `{"device":"D2"}`,
	}, change...)
	eventually(t, "both run", func() bool { return len(r.field.running()) == 2 })
	eventually(t, "all is told", func() bool { return r.told("two") != "" && r.told("storage_configuration") != "" })
	return r
}

func TestTheConfigurationInEffectIsToldWithoutSecrets(t *testing.T) {
	r := remoteRig(t)
	require.Contains(t, r.told("general_configuration"), `"accessToken":"********"`)
	require.Contains(t, r.told("general_configuration"), `"ts":`)
	require.Contains(t, r.told("storage_configuration"), `"type":"memory"`)
	require.JSONEq(t, `{"enabled":false}`, r.told("grpc_configuration"))
	require.JSONEq(t, `["one","two"]`, r.told("active_connectors"))
	require.JSONEq(t, `"v1.2.3"`, r.told("Version"))
	var one struct {
		Name, Type, Configuration, ID, LogLevel string
		TS                                      int64
		ConfigurationJSON                       map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(r.told("one")), &one))
	require.Equal(t, "one field one.json id-1 INFO", strings.Join([]string{one.Name, one.Type, one.Configuration, one.ID, one.LogLevel}, " "))
	require.Equal(t, map[string]any{"id": "id-1", "device": "D1", "password": "********"}, one.ConfigurationJSON)
	require.InDelta(t, time.Now().UnixMilli(), one.TS, 120_000)
	r.well()
	r.noSecret()
}

func TestWithoutRemoteConfigurationNothingIsToldOrTaken(t *testing.T) {
	srv := serve(t)
	r := start(t, srv, map[string]string{"tb_gateway.json": mainFile(srv, "", inMemory, "one"), "one.json": `{"device":"D"}`})
	eventually(t, "it is connected", func() bool { return len(srv.Readings()) > 0 })
	r.push(map[string]any{"active_connectors": []string{}})
	r.push(connectorAttribute("new", now(), nil, `{"x":1}`))
	n := len(srv.Readings())
	eventually(t, "data flows on", func() bool { return len(srv.Readings()) > n+5 })
	require.Equal(t, []string{"one"}, r.names())
	require.Empty(t, srv.Attributes(tbtest.Gateway))
	require.NoDirExists(t, filepath.Join(r.dir, "backup"))
}

func TestAConnectorIsAddedByThePlatform(t *testing.T) {
	r := remoteRig(t)
	r.push(connectorAttribute("New One", now(), map[string]any{"enableRemoteLogging": true, "configVersion": "3.8"}, `{"x":1.50,"password":"`+canary+`"}`))
	eventually(t, "it runs", func() bool { return r.field.runs("New One", `"x":1.50`) })
	eventually(t, "it is told", func() bool {
		return strings.Contains(r.told("active_connectors"), "New One") && r.told("New One") != ""
	})
	require.JSONEq(t, `{"x":1.50,"password":"`+canary+`","logLevel":"INFO","enableRemoteLogging":true,"configVersion":"3.8","name":"New One"}`, r.file("new_one.json"))
	require.Contains(t, r.file("tb_gateway.json"), `"configuration": "new_one.json"`)
	require.Contains(t, r.file("tb_gateway.json"), "2.50", "what is not ours is kept")
	require.Contains(t, r.told("New One"), `"password":"********"`)
	require.Equal(t, 1, r.field.count("one"), "nobody else is restarted")
	require.Equal(t, 1, r.field.count("two"))
	info, err := os.Stat(filepath.Join(r.dir, "new_one.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	r.well()
	r.noSecret()
	r.stop()
	again, err := tbconfig.Open(r.dir, tbconfig.Config{Logger: discard(), Getenv: func(string) string { return "" }})
	require.NoError(t, err, "what was written can be read")
	require.NotNil(t, again)
}

func TestAnUpdateRestartsThatConnectorOnly(t *testing.T) {
	r := remoteRig(t)
	before := r.file("one.json")
	ts := now()
	r.push(connectorAttribute("one", ts, nil, `{"id":"id-1","device":"D1","rate":7,"password":"********"}`))
	eventually(t, "the new one runs", func() bool { return r.field.runs("one", `"rate":7`) })
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("one"), `"rate":7`) })
	require.True(t, r.field.runs("one", canary), "a masked secret is the one in use")
	require.Contains(t, r.file("one.json"), canary)
	require.Equal(t, 2, r.field.count("one"))
	require.Equal(t, 1, r.field.count("two"))
	require.Contains(t, contents(t, filepath.Join(r.dir, "backup"), "one.backup."), before)

	// The same again, from a later time, changes nothing.
	file := r.file("one.json")
	r.push(connectorAttribute("one", ts+5000, nil, `{"password":"********","rate":7,"device":"D1","id":"id-1"}`))
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("one"), fmt.Sprint(ts+5000)) })
	require.Equal(t, 2, r.field.count("one"))
	require.Equal(t, file, r.file("one.json"))

	// What is older than the file is not used.
	r.push(connectorAttribute("one", ts-100_000, nil, `{"id":"id-1","rate":3}`))
	r.push(connectorAttribute("two", now(), nil, `{"device":"D2","rate":9}`)) // comes after it
	eventually(t, "the next one runs", func() bool { return r.field.runs("two", `"rate":9`) })
	require.True(t, r.field.runs("one", `"rate":7`))
	require.Contains(t, r.told("one"), `"rate":7`)
	r.well()
	r.noSecret()
}

func TestAConnectorIsRenamedByItsID(t *testing.T) {
	r := remoteRig(t)
	r.push(connectorAttribute("uno", now(), nil, `{"id":"id-1","device":"D1"}`))
	eventually(t, "it runs under the new name", func() bool { return r.field.runs("uno", `"id-1"`) && !r.field.runs("one", "") })
	eventually(t, "it is told", func() bool { return r.told("active_connectors") == `["two","uno"]` })
	require.Contains(t, r.file("tb_gateway.json"), `"uno"`)
	require.NotContains(t, r.file("tb_gateway.json"), `"one"`)
	require.Contains(t, r.file("one.json"), `"uno"`, "it keeps its file")
}

// Whatever is wrong with a configuration of a connector, the one before runs on.
func TestABadConnectorConfigurationIsRolledBack(t *testing.T) {
	for name, c := range map[string]struct{ configuration, want string }{
		"invalid":   {`{"id":"id-1","invalid":"rate 7 of ` + canary + `","password":"` + canary + `"}`, "rate 7 of ********"},
		"dead":      {`{"id":"id-1","dead":true}`, "the port is gone"},
		"not ready": {`{"id":"id-1","mute":true}`, "not ready within"},
		"list":      {`[1,2]`, "configurationJson: is not an object"},
		"text":      {`"x"`, "configurationJson: is not an object"},
		"strategy":  {`{"id":"id-1","reportStrategy":{"type":"SOMETIMES"}}`, "reportStrategy.type"},
		"mask":      {`{"id":"id-1","deep":[{"password":"********"}]}`, "deep[0].password: is masked"},
	} {
		t.Run(name, func(t *testing.T) {
			r := remoteRig(t)
			file, main, told := r.file("one.json"), r.file("tb_gateway.json"), r.told("one")
			r.push(connectorAttribute("one", now(), nil, c.configuration))
			require.Contains(t, r.problem("one"), c.want)
			eventually(t, "the one before runs", func() bool { return r.field.runs("one", `"device":"D1"`) })
			require.Equal(t, file, r.file("one.json"))
			require.Equal(t, main, r.file("tb_gateway.json"))
			require.Equal(t, told, r.told("one"))
			require.Equal(t, 1, r.field.count("two"))
			require.Empty(t, temporaries(t, r.dir))
			n := r.field.sent("D1")
			eventually(t, "data flows", func() bool { return r.field.sent("D1") > n })

			// A good one clears the error.
			r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","rate":5}`))
			eventually(t, "the good one runs", func() bool { return r.field.runs("one", `"rate":5`) })
			r.well()
			r.noSecret()
		})
	}
}

func TestANewConnectorThatDoesNotStartIsNotKept(t *testing.T) {
	r := remoteRig(t)
	r.push(connectorAttribute("bad", now(), nil, `{"dead":true}`))
	require.Contains(t, r.problem("bad"), "the port is gone")
	require.ElementsMatch(t, []string{"one", "two"}, r.names())
	require.NoFileExists(t, filepath.Join(r.dir, "bad.json"))
	require.NotContains(t, r.file("tb_gateway.json"), `"bad"`)
	r.push(connectorAttribute("late", now(), nil, `{"mute":true}`))
	eventually(t, "one whose device is away is kept", func() bool { return strings.Contains(r.told("active_connectors"), "late") })
}

// A name from the platform is that of a file in the folder, or refused.
func TestNamesOfFilesStayInTheFolder(t *testing.T) {
	r := remoteRig(t)
	outside := filepath.Dir(r.dir)
	for i, name := range []string{
		"../evil.json", "/tmp/evil.json", `..\evil.json`, `C:evil.json`, "sub/evil.json", "..", ".hidden.json", "evil.sh", "evil", "evil.json\x00.txt",
		"tb_gateway.json", "TB_Gateway.json", "logs.json", "connected_devices.json", "two.json", "TWO.json", strings.Repeat("x", 300) + ".json", "evil.json/", "nul\n.json", "********",
	} {
		key := fmt.Sprintf("evil%d", i)
		r.push(connectorAttribute(key, now(), map[string]any{"configuration": name}, `{"x":1}`))
		require.Contains(t, r.problem(key), "configuration: ", "%q", name)
	}
	require.ElementsMatch(t, []string{"one", "two"}, r.names())
	for _, e := range entries(t, outside) {
		require.NotContains(t, e, "evil")
	}
	for _, e := range entries(t, r.dir) {
		require.NotContains(t, e, "evil")
	}
	require.Contains(t, r.file("two.json"), "D2")
	r.push(connectorAttribute("../../Über b", now(), nil, `{"x":1}`))
	eventually(t, "a name of a connector is no path", func() bool { return r.field.runs("../../Über b", "x") })
	eventually(t, "it has a file", func() bool { return r.file("______über_b.json") != "" })
}

func TestActiveConnectorsAreAddedAndRemoved(t *testing.T) {
	r := remoteRig(t)
	r.srv.SetShared(tbtest.Gateway, connectorAttribute("three", now(), nil, `{"device":"D3"}`))
	r.push(map[string]any{"active_connectors": []string{"two", "three"}})
	eventually(t, "it is done", func() bool { return r.told("active_connectors") == `["three","two"]` })
	require.ElementsMatch(t, []string{"two", "three"}, r.names())
	require.True(t, r.field.runs("three", "D3"))
	require.Equal(t, 1, r.field.count("two"))
	require.FileExists(t, filepath.Join(r.dir, "one.json"), "the file stays")
	require.NotContains(t, r.file("tb_gateway.json"), `"one"`)
	r.well()
	r.push(map[string]any{"active_connectors": []string{}})
	eventually(t, "none is left", func() bool { return len(r.names()) == 0 && r.told("active_connectors") == "[]" })
}

// A list that is malformed, or names what cannot run, removes nothing.
func TestABadListOfConnectorsRemovesNothing(t *testing.T) {
	r := remoteRig(t)
	r.srv.SetShared(tbtest.Gateway, map[string]any{"dead": connectorAttribute("dead", now(), nil, `{"dead":true}`)["dead"], "number": 7})
	for i, list := range []any{5, "one", true, map[string]any{"a": 1}, []any{"one", 7}, []string{""}, []string{"one", "absent"}, []string{"dead"}, []string{"number"}, []string{"a,b"}} {
		r.push(map[string]any{"active_connectors": list})
		raw, err := json.Marshal(list)
		require.NoError(t, err)
		require.NotEmpty(t, r.problem("active_connectors"), "%s", raw)
		require.ElementsMatch(t, []string{"one", "two"}, r.names(), "%s", raw)
		require.Contains(t, r.file("tb_gateway.json"), `"one"`)
		r.push(map[string]any{"active_connectors": append([]string{"two", "one"}, make([]string, 0, i)...)})
		eventually(t, "a good list clears it", func() bool { return !strings.Contains(r.told("configuration_errors"), "active_connectors") })
		r.push(map[string]any{"active_connectors": []string{"one", "two", "two"}})
	}
	require.Equal(t, 1, r.field.count("one"))
	require.Equal(t, 1, r.field.count("two"))
}

// Of a message with both, the list decides.
func TestAConnectorThatIsNotInTheListIsNotStarted(t *testing.T) {
	r := remoteRig(t)
	values := connectorAttribute("inactive", now(), nil, `{"x":1}`)
	values["active_connectors"] = []string{"one"}
	r.push(values)
	eventually(t, "the list counts", func() bool { return r.told("active_connectors") == `["one"]` })
	require.Equal(t, []string{"one"}, r.names())
	require.Zero(t, r.field.count("inactive"))
}

// What was changed while the gateway was away is found after the connection, and
// what was not is left alone.
func TestChangesWhileAwayAreFound(t *testing.T) {
	r := remoteRig(t)
	r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","rate":1}`))
	eventually(t, "it runs", func() bool { return r.field.runs("one", `"rate":1`) })
	r.srv.SetLink(false)
	r.srv.SetShared(tbtest.Gateway, connectorAttribute("two", now(), nil, `{"rate":2}`))
	r.srv.SetLink(true)
	eventually(t, "it runs", func() bool { return r.field.runs("two", `"rate":2`) })
	require.Equal(t, 2, r.field.count("one"))
	require.NoError(t, r.srv.DeleteAttributes(tbtest.Gateway, "one", "general_configuration"))
	r.push(connectorAttribute("two", now(), nil, `{"rate":3}`))
	eventually(t, "a deleted attribute removes nothing", func() bool { return r.field.runs("two", `"rate":3`) && r.field.runs("one", "") })
}

// Whatever a value is, it harms nothing, and the data flows on.
func TestAMalformedAttributeHarmsNothing(t *testing.T) {
	r := remoteRig(t)
	main := r.file("tb_gateway.json")
	for _, key := range []string{"general_configuration", "storage_configuration", "logs_configuration", "grpc_configuration", "RemoteLoggingLevel"} {
		for _, v := range []any{7, true, []int{1}, "{", "x\"y", map[string]any{"host": 5, "type": []int{}, "enabled": "so", "loggers": 3}, map[string]any{"security": 7, "type": "tape", "enabled": 3, "root": 3, "loggers": []int{}}} {
			if key == "RemoteLoggingLevel" && v == 7 {
				continue // a level
			}
			r.push(map[string]any{key: v})
			raw, _ := json.Marshal(v)
			require.NotEmpty(t, r.problem(key), "%s=%s", key, raw)
			r.srv.SetShared(tbtest.Gateway, map[string]any{key: nil})
		}
	}
	for key, v := range map[string]any{"fw_version": "1.0", "note": map[string]any{"type": "field"}, "list": []int{1}, "deleted": []string{"one"}} {
		r.push(map[string]any{key: v})
	}
	n := r.field.sent("D1")
	eventually(t, "data flows", func() bool { return r.field.sent("D1") > n+3 })
	require.Equal(t, main, r.file("tb_gateway.json"))
	require.Equal(t, 1, r.field.count("one"))
	require.ElementsMatch(t, []string{"one", "two"}, r.names())
}

func TestGRPCIsNotAvailable(t *testing.T) {
	r := remoteRig(t)
	r.push(map[string]any{"grpc_configuration": map[string]any{"enabled": true}})
	require.Contains(t, r.problem("grpc_configuration"), "not available")
	r.push(map[string]any{"grpc_configuration": map[string]any{"enabled": false, "serverPort": 9595}})
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("grpc_configuration"), "9595") })
	r.well()
}

// If the files cannot be written, what ran runs again.
func TestAFullDiskUndoesTheChange(t *testing.T) {
	for name, fill := range map[string]func(*rig, bool){
		"the new file": func(r *rig, on bool) { tbconfig.FillDisk(r.svc, on) },
		"the backup": func(r *rig, on bool) {
			path := filepath.Join(r.dir, "backup")
			require.NoError(r, os.RemoveAll(path))
			if on {
				require.NoError(r, os.WriteFile(path, nil, 0o600))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := remoteRig(t)
			r.write("logs.json", "{}")
			file, main := r.file("one.json"), r.file("tb_gateway.json")
			fill(r, true)
			r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","full":true}`))
			require.NotEmpty(t, r.problem("one"))
			for key, v := range map[string]any{
				"active_connectors":     []string{"two"},
				"general_configuration": map[string]any{"reportStrategy": map[string]any{"type": "ON_CHANGE"}},
				"storage_configuration": map[string]any{"type": "memory", "max_records_count": 50},
				"logs_configuration":    map[string]any{"loggers": map[string]any{}},
			} {
				r.push(map[string]any{key: v})
				require.NotEmpty(t, r.problem(key))
			}
			eventually(t, "both run", func() bool { return r.field.runs("one", "D1") && r.field.runs("two", "D2") })
			require.ElementsMatch(t, []string{"one", "two"}, r.names())
			require.Equal(t, file, r.file("one.json"))
			require.Equal(t, main, r.file("tb_gateway.json"))
			require.Empty(t, temporaries(t, r.dir))
			n := r.field.sent("D1")
			eventually(t, "data flows", func() bool { return r.field.sent("D1") > n })

			// When there is room, the next values are taken.
			fill(r, false)
			r.push(map[string]any{
				"active_connectors": []string{"one", "two"}, "general_configuration": map[string]any{"ts": 1},
				"storage_configuration": map[string]any{"type": "memory", "ts": 1}, "logs_configuration": map[string]any{"ts": now()},
			})
			r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","device":"D1","password":"********"}`))
			r.well()
			r.noSecret()
		})
	}
}

func TestTenBackupsAreKept(t *testing.T) {
	r := remoteRig(t)
	r.write("backup/one_2.backup.1.json", "{}")
	r.write("backup/one.backup.x.json", "{}")
	for i := range 14 {
		r.push(connectorAttribute("one", now()+int64(i), nil, fmt.Sprintf(`{"id":"id-1","n":%d}`, i)))
		eventually(t, "it runs", func() bool { return r.field.runs("one", fmt.Sprintf(`"n":%d`, i)) })
	}
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("one"), `"n":13`) })
	all := contents(t, filepath.Join(r.dir, "backup"), "one.backup.")
	require.Len(t, all, 11, "ten, and one of another name")
	require.Contains(t, strings.Join(all, ""), `"n": 12`)
	require.NotContains(t, strings.Join(all, ""), `"n": 2,`)
	require.FileExists(t, filepath.Join(r.dir, "backup", "one_2.backup.1.json"))
}

// entries returns the names in a folder.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// temporaries returns the files that somebody has left.
func temporaries(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, name := range entries(t, dir) {
		if strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// contents returns the contents of the files whose names begin so.
func contents(t *testing.T, dir, prefix string) (all []string) {
	t.Helper()
	for _, name := range entries(t, dir) {
		if strings.HasPrefix(name, prefix) {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			all = append(all, string(raw))
		}
	}
	return all
}
