package tbconfig_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// delivered reports whether a server has the readings 1 to n of a device.
func delivered(srvs []*tbtest.Server, device string, n int64) bool {
	have := make(map[int64]bool)
	for _, srv := range srvs {
		for _, r := range srv.Readings() {
			if v, ok := r.Value.(int64); ok && r.Device == device {
				have[v] = true
			}
		}
	}
	for i := int64(1); i <= n; i++ {
		if !have[i] {
			return false
		}
	}
	return true
}

func address(t *testing.T, srv *tbtest.Server) (host string, port any) {
	t.Helper()
	u, err := url.Parse(srv.URL())
	require.NoError(t, err)
	return u.Hostname(), portNumber(u.Port())
}

func portNumber(text string) (n int) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// general is a general_configuration for a server.
func general(t *testing.T, srv *tbtest.Server, secret string) map[string]any {
	t.Helper()
	host, port := address(t, srv)
	return map[string]any{"general_configuration": map[string]any{
		"host": host, "port": port, "security": map[string]any{"type": "accessToken", "accessToken": secret},
	}}
}

func TestThePlatformSendsTheGatewayToAnother(t *testing.T) {
	r := remoteRig(t)
	eventually(t, "data flows", func() bool { return len(r.srv.Readings()) > 3 })
	second := serve(t)
	r.push(general(t, second, token))
	eventually(t, "data flows there", func() bool { return len(second.Readings()) > 3 })
	eventually(t, "the file says so", func() bool {
		_, port := address(t, second)
		return strings.Contains(r.file("tb_gateway.json"), fmt.Sprintf(`"port": %d`, port))
	})
	eventually(t, "the configuration is told there", func() bool {
		return toldBy(second, "two") != "" && toldBy(second, "general_configuration") != "" && toldBy(second, "configuration_errors") == "{}"
	})
	require.Contains(t, r.file("tb_gateway.json"), "remoteConfiguration", "keys that it does not name stay")
	require.Equal(t, 1, r.field.count("one"), "connectors do not notice")
	require.NoError(t, second.PushAttributes(tbtest.Gateway, connectorAttribute("two", now(), nil, `{"device":"D2","rate":4}`)))
	eventually(t, "it is followed there", func() bool { return r.field.runs("two", `"rate":4`) })
	n := r.field.sent("D1")
	eventually(t, "nothing is lost", func() bool { return delivered([]*tbtest.Server{r.srv, second}, "D1", n) })
	raw := fmt.Sprint(second.Attributes(tbtest.Gateway))
	require.NotContains(t, raw, "CANARY")
	r.noSecret()
}

// A platform from which the gateway was sent away can have it back, although its
// order to leave is still there.
func TestTheGatewayComesBack(t *testing.T) {
	r := remoteRig(t)
	second := serve(t)
	order := func(to *tbtest.Server) map[string]any {
		v := general(t, to, token)
		v["general_configuration"].(map[string]any)["ts"] = now()
		return v
	}
	r.push(order(second))
	eventually(t, "it is told there", func() bool { return toldBy(second, "Version") != "" })
	connects := r.srv.Stats().Connects
	eventually(t, "the order is later", func() bool { time.Sleep(5 * time.Millisecond); return true })
	require.NoError(t, second.PushAttributes(tbtest.Gateway, order(r.srv)))
	eventually(t, "it is back", func() bool { return r.srv.Stats().Connects > connects })
	eventually(t, "the old order is not followed", func() bool { return strings.Contains(r.log.String(), "older than the file") })
	r.push(connectorAttribute("two", now(), nil, `{"rate":5}`))
	eventually(t, "it stays", func() bool { return r.field.runs("two", `"rate":5`) })
	require.EqualValues(t, 1, second.Stats().Connects)
}

// A platform that cannot be reached, or does not take the credentials, is not
// used; the one before goes on.
func TestAPlatformThatDoesNotAnswerIsNotUsed(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	other := serve(t)
	for name, v := range map[string]map[string]any{
		"nobody listens":    {"general_configuration": map[string]any{"host": "127.0.0.1", "port": closed}},
		"nobody answers":    {"general_configuration": map[string]any{"host": "127.0.0.1", "port": silent.Addr().(*net.TCPAddr).Port}},
		"wrong credentials": general(t, other, canary),
		"wrong here too": {"general_configuration": map[string]any{
			"security": map[string]any{"type": "accessToken", "accessToken": canary}, // of the same platform
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := remoteRig(t)
			main := r.file("tb_gateway.json")
			r.push(v)
			require.NotEmpty(t, r.problem("general_configuration"))
			n := r.field.sent("D1")
			eventually(t, "data arrives", func() bool { return delivered([]*tbtest.Server{r.srv}, "D1", n) })
			require.Equal(t, main, r.file("tb_gateway.json"))
			require.Equal(t, 1, r.field.count("one"))
			r.push(map[string]any{"general_configuration": map[string]any{"ts": 5}})
			r.well()
			r.noSecret()
		})
	}
}

// If the file cannot be written, the connection is as it was.
func TestAConnectionThatCannotBeWrittenIsUndone(t *testing.T) {
	r := remoteRig(t)
	second := serve(t)
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "backup")))
	r.write("backup", "")
	r.push(general(t, second, token))
	require.Contains(t, r.problem("general_configuration"), "taken back")
	eventually(t, "data flows here", func() bool { return delivered([]*tbtest.Server{r.srv, second}, "D1", r.field.sent("D1")) })
	require.NoError(t, os.Remove(filepath.Join(r.dir, "backup")))
	r.push(connectorAttribute("two", now(), nil, `{"rate":8}`))
	eventually(t, "it is followed here", func() bool { return r.field.runs("two", `"rate":8`) })
}

func TestSettingsThatCannotBeWrittenAreUndone(t *testing.T) {
	r := remoteRig(t)
	require.True(t, r.flows("D1"))
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "backup")))
	r.write("backup", "")
	r.push(map[string]any{"general_configuration": map[string]any{
		"ts": now(), "reportStrategy": map[string]any{"type": "ON_REPORT_PERIOD", "reportPeriod": 3_600_000},
	}})
	require.Contains(t, r.problem("general_configuration"), "taken back")
	require.True(t, r.flows("D1"), "nothing is held back")

	inFiles := map[string]any{"storage_configuration": map[string]any{"type": "file", "data_folder_path": filepath.Join(r.dir, "data")}}
	r.push(inFiles)
	require.Contains(t, r.problem("storage_configuration"), "taken back")
	require.IsType(t, new(memstore.Store), r.g.Store())
	require.NoError(t, os.Remove(filepath.Join(r.dir, "backup")))
	inFiles["storage_configuration"].(map[string]any)["ts"] = now() // what is the same is not tried again
	r.push(inFiles)
	eventually(t, "it is in files", func() bool { _, ok := r.g.Store().(*filestore.Store); return ok })
	require.True(t, r.flows("D1"))
}

func TestGeneralConfigurationWithoutAConnection(t *testing.T) {
	r := remoteRig(t)
	connects := r.srv.Stats().Connects
	r.push(map[string]any{"general_configuration": map[string]any{
		"ts": 5, "reportStrategy": map[string]any{"type": "ON_REPORT_PERIOD", "reportPeriod": 3_600_000}, "checkConnectorsConfigurationInSeconds": 7,
		"security":   map[string]any{"type": "accessToken", "accessToken": "********"},
		"statistics": map[string]any{"enable": false, "commands": []map[string]any{{"attributeOnGateway": "x", "command": "touch /tmp/x"}}},
	}})
	eventually(t, "it is written", func() bool { return strings.Contains(r.file("tb_gateway.json"), "3600000") })
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("general_configuration"), "3600000") })
	require.Contains(t, r.file("tb_gateway.json"), token, "a masked secret is the one in use")
	require.NotContains(t, r.file("tb_gateway.json"), "commands", "the platform has nothing run")
	require.Contains(t, r.log.String(), "statistics.commands")
	require.Equal(t, connects, r.srv.Stats().Connects, "the connection stays")
	eventually(t, "the policy is in effect", func() bool {
		before := r.g.Stats().Connectors["one"].Filtered
		time.Sleep(50 * time.Millisecond)
		return r.g.Stats().Connectors["one"].Filtered >= before+3
	})
	// Without remote configuration nothing more is taken.
	r.push(map[string]any{"general_configuration": map[string]any{"remoteConfiguration": false}})
	eventually(t, "it is off", func() bool { return strings.Contains(r.file("tb_gateway.json"), `"remoteConfiguration": false`) })
	r.push(map[string]any{"active_connectors": []string{}})
	time.Sleep(100 * time.Millisecond)
	require.Len(t, r.names(), 2)
}

func TestPathsOfThePlatformStayInTheFolder(t *testing.T) {
	r := remoteRig(t)
	for _, v := range []map[string]any{
		{"stateFolder": "/tmp"},
		{"deviceFiltering": map[string]any{"enable": false, "filterFile": "../list.json"}},
		{"statistics": map[string]any{"enable": true, "configuration": "/etc/passwd"}},
		{"reportStrategy": map[string]any{"type": "NEVER"}},
		{"port": "x"},
		{"port": 70000},
		{"host": ""},
		{"host": nil},
		{"statistics": map[string]any{"commands": 5}},
		{"security": map[string]any{"type": "magic"}},
		{"security": map[string]any{"type": "usernamePassword", "username": "u", "password": "********"}},
	} {
		r.push(map[string]any{"general_configuration": v})
		require.NotEmpty(t, r.problem("general_configuration"), "%v", v)
		r.push(map[string]any{"general_configuration": map[string]any{"ts": now()}})
		r.well()
	}
	r.noSecret()
}

func TestTheStorageChangesAndNothingIsLost(t *testing.T) {
	data := t.TempDir()
	for name, c := range map[string]struct{ before, after string }{
		"memory to file":   {inMemory, fmt.Sprintf(`{"type":"file","data_folder_path":%q}`, filepath.Join(data, "a"))},
		"file to memory":   {fmt.Sprintf(`{"type":"file","data_folder_path":%q}`, filepath.Join(data, "b")), inMemory},
		"limits of memory": {inMemory, `{"type":"memory","max_records_count":5000}`},
		"limits of files": {
			fmt.Sprintf(`{"type":"file","data_folder_path":%q}`, filepath.Join(data, "c")),
			fmt.Sprintf(`{"type":"file","data_folder_path":%q,"max_bytes":9000000}`, filepath.Join(data, "c")),
		},
		"file to file": {
			fmt.Sprintf(`{"type":"file","data_folder_path":%q}`, filepath.Join(data, "d")),
			fmt.Sprintf(`{"type":"sqlite","data_file_path":%q}`, filepath.Join(data, "e")),
		},
		"snapshot": {
			fmt.Sprintf(`{"type":"memory","snapshot_file":%q}`, filepath.Join(data, "s")),
			fmt.Sprintf(`{"type":"memory","snapshot_file":%q,"max_records_count":9000}`, filepath.Join(data, "s")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t)
			files := map[string]string{"tb_gateway.json": mainFile(srv, remote, c.before, "one"), "one.json": `{"device":"D"}`}
			r := start(t, srv, files)
			eventually(t, "data flows", func() bool { return len(srv.Readings()) > 0 })
			srv.SetLink(false)
			n := r.field.sent("D")
			eventually(t, "data is stored", func() bool { return r.field.sent("D") > n+20 })
			r.write("tb_gateway.json", mainFile(srv, remote, c.after, "one"))
			eventually(t, "another store is used", func() bool { return strings.Contains(r.log.String(), "store is replaced") })
			srv.SetLink(true)
			n = r.field.sent("D")
			eventually(t, "everything arrives", func() bool { return delivered([]*tbtest.Server{srv}, "D", n) })
			require.Equal(t, 1, r.field.count("one"))
			r.well()
			left, err := filepath.Glob(filepath.Join(data, "*.moving"))
			require.NoError(t, err)
			require.Empty(t, left)

			// And back, by the platform.
			r.push(map[string]any{"storage_configuration": rawJSON(c.before)})
			eventually(t, "it is told", func() bool { return canonicalJSON(r.told("storage_configuration")) == canonicalJSON(c.before) })
			n = r.field.sent("D")
			eventually(t, "everything arrives", func() bool { return delivered([]*tbtest.Server{srv}, "D", n+5) })
		})
	}
}

func TestAStoreThatCannotBeOpenedIsNotUsed(t *testing.T) {
	r := remoteRig(t)
	main := r.file("tb_gateway.json")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, v := range []map[string]any{
		{"type": "file", "data_folder_path": file}, {"type": "tape"}, {}, {"type": "memory", "max_bytes": -1}, {"type": "file", "durability": "maybe"},
	} {
		r.push(map[string]any{"storage_configuration": v})
		require.NotEmpty(t, r.problem("storage_configuration"), "%v", v)
		require.Equal(t, main, r.file("tb_gateway.json"))
		n := r.field.sent("D1")
		eventually(t, "data arrives", func() bool { return r.field.sent("D1") > n && delivered([]*tbtest.Server{r.srv}, "D1", n) })
		r.push(map[string]any{"storage_configuration": map[string]any{"type": "memory", "ts": now()}})
		r.well()
	}
}

// What a change of the storage left behind when it was cut short is stored again.
func TestAStorageChangeThatWasCutShortLosesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	storage := fmt.Sprintf(`{"type":"file","data_folder_path":%q}`, data)
	srv := serve(t)
	srv.SetLink(false)
	files := map[string]string{"tb_gateway.json": mainFile(srv, "", storage, "one"), "one.json": `{"device":"D"}`}
	first := start(t, srv, files)
	eventually(t, "data is stored", func() bool { return first.field.sent("D") > 10 })
	first.stop()
	n := first.field.sent("D")
	require.NoError(t, os.Rename(data, data+".moving"))
	srv.SetLink(true)
	files["one.json"] = `{}`
	start(t, srv, files)
	eventually(t, "everything arrives", func() bool { return delivered([]*tbtest.Server{srv}, "D", n) })
	require.NoDirExists(t, data+".moving")
}
