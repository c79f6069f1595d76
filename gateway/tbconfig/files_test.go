package tbconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
)

// localRig is a gateway without remote configuration, with two connectors.
func localRig(t *testing.T, change ...func(*tbconfig.Config)) *rig {
	t.Helper()
	srv := serve(t)
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, "", inMemory, "one", "two"),
		"one.json":        `{"device":"D1","password":"` + canary + `"}`,
		"two.json":        `{"device":"D2"}`,
	}, change...)
	eventually(t, "both run", func() bool { return len(r.field.running()) == 2 })
	return r
}

func TestAChangedFileRestartsItsConnectorOnly(t *testing.T) {
	r := localRig(t)
	r.write("one.json", `{"device":"D1","rate":1}`)
	eventually(t, "it runs", func() bool { return r.field.runs("one", `"rate":1`) })
	require.Equal(t, 2, r.field.count("one"))
	require.Equal(t, 1, r.field.count("two"))
	require.NoDirExists(t, filepath.Join(r.dir, "backup"), "nothing is written")

	// The same content in another form, or from another time, is no change.
	r.write("one.json", "{\n  \"rate\": 1,\n  \"device\": \"D1\"}\n")
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(r.dir, "two.json"), later, later))
	r.write("two.json", `{"device":"D2","rate":2}`) // comes after it
	eventually(t, "the other one runs", func() bool { return r.field.runs("two", `"rate":2`) })
	require.Equal(t, 2, r.field.count("one"))
	require.Equal(t, 2, r.field.count("two"))
}

// Editors write a new file and rename it, or rename the old one away first.
func TestEveryWayToReplaceAFileIsSeen(t *testing.T) {
	r := localRig(t)
	path := filepath.Join(r.dir, "one.json")
	for i, replace := range []func(text string){
		func(text string) { r.write("one.json", text) },
		func(text string) {
			r.write("one.json.tmp", text)
			require.NoError(t, os.Rename(path+".tmp", path))
		},
		func(text string) {
			require.NoError(t, os.Rename(path, path+"~"))
			r.write("one.json", text)
		},
		func(text string) {
			require.NoError(t, os.Remove(path))
			r.write("one.json", text)
		},
		func(text string) {
			r.write("one.json", text[:len(text)/2]) // a slow writer
			r.write("one.json", text)
		},
	} {
		replace(fmt.Sprintf(`{"device":"D1","rate":%d}`, 10+i))
		eventually(t, "it runs", func() bool { return r.field.runs("one", fmt.Sprintf(`"rate":%d`, 10+i)) })
	}
	require.Equal(t, 1, r.field.count("two"))
}

// What is broken is reported with its place, once, and what ran runs on.
func TestABrokenFileChangesNothing(t *testing.T) {
	r := remoteRig(t)
	main := r.file("tb_gateway.json")
	for _, c := range []struct{ name, text, want string }{
		{"one.json", "{\n  \"password\": \"" + canary + "\",\n  \"rate\": ,\n}", "one.json:3:11: invalid character"},
		{"one.json", `{"invalid":"rate 7"}`, "invalid: rate 7"},
		{"one.json", `{"dead":true}`, "the port is gone"},
		{"one.json", `{"mute":true}`, "not ready within"},
		{"tb_gateway.json", "{\n\"thingsboard\": {,\n", "tb_gateway.json:2:17: invalid character"},
		{"tb_gateway.json", `{"thingsboard":{"port":"high"}}`, "thingsboard.port: a string where an integer belongs"},
		{"tb_gateway.json", strings.Replace(main, `"memory"`, `"tape"`, 1), `storage.type: \"tape\"`},
		{"tb_gateway.json", strings.Replace(main, `"host":"127.0.0.1"`, `"host":""`, 1), "thingsboard.host: is missing"},
		{"logs.json", `{"loggers":{"service":{"level":"LOUD"}}}`, "loggers.service.level"},
		{"logs.json", `[`, "logs.json:1:1"},
	} {
		before := r.field.count("two")
		r.write(c.name, c.text)
		eventually(t, "it is logged: "+c.want, func() bool { return strings.Contains(r.log.String(), c.want) })
		eventually(t, "it is told", func() bool { return r.told("configuration_errors") != "{}" })
		eventually(t, "one runs", func() bool { return r.field.runs("one", "D1") })
		require.True(t, r.field.runs("two", "D2"))
		require.Equal(t, before, r.field.count("two"))
		r.svc.Reload() // tells nothing new
		r.write("tb_gateway.json", main)
		r.write("one.json", `{"device":"D1"}`)
		r.write("logs.json", `{}`)
		r.well()
		told := 0
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, c.want) && strings.Contains(line, "configuration is not in effect") {
				told++
			}
		}
		require.Equal(t, 1, told, "it is logged once: %s", c.want)
	}
	r.noSecret()
}

func TestConnectorsComeAndGoWithTheFile(t *testing.T) {
	r := localRig(t)
	r.write("three.json", `{"device":"D3"}`)
	r.write("tb_gateway.json", mainFile(r.srv, "", inMemory, "two", "three"))
	eventually(t, "they run", func() bool { return r.field.runs("three", "D3") && !r.field.runs("one", "") })
	eventually(t, "one is removed", func() bool { return len(r.names()) == 2 })
	require.Equal(t, 1, r.field.count("two"))

	// A connector whose file comes later, or was broken at first, starts then.
	r.write("tb_gateway.json", mainFile(r.srv, "", inMemory, "two", "four"))
	eventually(t, "it is missed", func() bool { return strings.Contains(r.log.String(), "four.json") })
	r.write("four.json", `{"device":"D4"}`)
	eventually(t, "it runs", func() bool { return r.field.runs("four", "D4") })
	require.NoError(t, os.Remove(filepath.Join(r.dir, "four.json")))
	eventually(t, "it is missed again", func() bool { return strings.Count(r.log.String(), "four.json: no such file") == 2 })
	require.True(t, r.field.runs("four", "D4"), "a deleted file stops nothing")
}

func TestAConnectorThatIsBrokenAtTheStartIsMended(t *testing.T) {
	srv := serve(t)
	r := start(t, srv, map[string]string{"tb_gateway.json": mainFile(srv, "", inMemory, "one"), "one.json": `{"invalid":"x"}`})
	eventually(t, "it failed", func() bool { return strings.Contains(r.log.String(), "failed for good") })
	r.write("one.json", `{"dead":true}`)
	eventually(t, "it is not better", func() bool { return strings.Contains(r.log.String(), "the port is gone") })
	r.write("one.json", `{"device":"D"}`)
	eventually(t, "it runs", func() bool { return r.field.runs("one", "D") })
}

func TestTheConnectionFollowsTheFile(t *testing.T) {
	r := localRig(t)
	second := serve(t)
	eventually(t, "data flows", func() bool { return len(r.srv.Readings()) > 0 })
	r.write("tb_gateway.json", mainFile(second, `"reportStrategy":{"type":"ON_CHANGE"}`, inMemory, "one", "two"))
	eventually(t, "data flows there", func() bool { return len(second.Readings()) > 0 })
	require.Equal(t, 1, r.field.count("one"))
	n := r.field.sent("D1")
	eventually(t, "nothing is lost", func() bool { return delivered([]*tbtest.Server{r.srv, second}, "D1", n) })

	// One that does not answer is not used.
	dead := strings.Replace(r.file("tb_gateway.json"), `"port":`, `"port":1,"x":`, 1)
	r.write("tb_gateway.json", dead)
	eventually(t, "it is logged", func() bool { return strings.Contains(r.log.String(), "did not connect") })
	n = r.field.sent("D1")
	eventually(t, "data flows on", func() bool { return delivered([]*tbtest.Server{r.srv, second}, "D1", n+3) })
}

// Where the system does not tell of changes, they are found all the same.
func TestFilesAreLookedAtFromTimeToTime(t *testing.T) {
	srv := serve(t)
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, `"checkConnectorsConfigurationInSeconds":1`, inMemory, "one"), "one.json": `{}`,
	}, func(c *tbconfig.Config) { c.Debounce = time.Hour })
	eventually(t, "it runs", func() bool { return r.field.runs("one", "") })
	for i := range 3 { // again and again
		r.write("one.json", fmt.Sprintf(`{"rate":%d}`, i))
		eventually(t, "the change is found", func() bool { return r.field.runs("one", fmt.Sprintf(`"rate":%d`, i)) })
	}
	r.svc.Reload()
}

func TestReloadLooksAtOnce(t *testing.T) {
	r := localRig(t, func(c *tbconfig.Config) { c.Debounce = time.Hour })
	r.write("one.json", `{"rate":1}`)
	r.svc.Reload()
	eventually(t, "the change is found", func() bool { return r.field.runs("one", `"rate":1`) })
}

// Many changes within a short time are one.
func TestChangesAreDebounced(t *testing.T) {
	r := localRig(t, func(c *tbconfig.Config) { c.Debounce = 300 * time.Millisecond })
	for i := range 20 {
		r.write("one.json", fmt.Sprintf(`{"rate":%d}`, i))
		time.Sleep(time.Millisecond)
	}
	eventually(t, "the last one runs", func() bool { return r.field.runs("one", `"rate":19`) })
	require.Less(t, r.field.count("one"), 10)
}

// The files that the gateway writes for itself are not taken for changes.
func TestOwnWritesAreNoChanges(t *testing.T) {
	r := remoteRig(t)
	for i := range 3 {
		r.push(connectorAttribute("one", now()+int64(i), nil, fmt.Sprintf(`{"id":"id-1","device":"D1","n":%d}`, i)))
		eventually(t, "it runs", func() bool { return r.field.runs("one", fmt.Sprintf(`"n":%d`, i)) })
		time.Sleep(60 * time.Millisecond) // more than the time that files are left alone
	}
	r.svc.Reload()
	r.push(connectorAttribute("two", now(), nil, `{"n":1}`)) // comes after it
	eventually(t, "it runs", func() bool { return r.field.runs("two", `"n":1`) })
	require.Equal(t, 4, r.field.count("one"))
	require.Equal(t, 2, r.field.count("two"))
}

// What is wrong with a configuration of the platform is told until there is another
// one, also if the files, which are as they should be, are looked at.
func TestALookAtTheFilesForgetsNoProblemOfThePlatform(t *testing.T) {
	r := remoteRig(t)
	r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","invalid":"x"}`))
	require.NotEmpty(t, r.problem("one"))
	r.svc.Reload()
	r.write("two.json", `{"device":"D2","rate":5}`)
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("two"), `"rate":5`) })
	require.NotEmpty(t, r.problem("one"))
	r.push(connectorAttribute("one", now(), nil, `{"id":"id-1","n":1}`))
	r.well()
}

// What a person changes in the files is told to the platform.
func TestChangesOfFilesAreTold(t *testing.T) {
	r := remoteRig(t)
	r.write("two.json", `{"device":"D2","rate":5,"apiKey":"`+canary+`"}`)
	eventually(t, "it is told", func() bool { return strings.Contains(r.told("two"), `"rate":5`) })
	r.write("two.json", `{"rate":,}`)
	require.Contains(t, r.problem("tb_gateway.json: two"), "two.json:1:9")
	r.write("two.json", `{"device":"D2"}`)
	r.well()
	r.write("tb_gateway.json", mainFile(r.srv, remote+`,"latencyDebugMode":true`, inMemory, "two"))
	require.Contains(t, r.problem("restart"), "thingsboard.latencyDebugMode")
	eventually(t, "the list is told", func() bool { return r.told("active_connectors") == `["two"]` })
	r.noSecret()
}

func TestTheDeviceFilterIsThatOfTheFile(t *testing.T) {
	srv := serve(t)
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, `"deviceFiltering":{"enable":true,"filterFile":"list.json"}`, inMemory, "one", "two"),
		"one.json":        `{"device":"D1"}`, "two.json": `{"device":"D2"}`,
		"list.json": `{"allow":{"one":["X.*"]},"deny":{"two":["X.*"]}}`,
	})
	eventually(t, "data flows", func() bool { return len(srv.Readings()) > 5 && r.g.Stats().Connectors["one"].Denied > 3 })
	for _, reading := range srv.Readings() {
		require.Equal(t, "D2", reading.Device)
	}
	for text, want := range map[string]string{`{"deny":{"one":["("]}}`: `connector \"one\"`, `[`: "list.json:1:1", "": "list.json"} {
		dir := write(t, map[string]string{"tb_gateway.json": mainFile(srv, `"deviceFiltering":{"enable":true}`, inMemory), "list.json": text})
		_, err := tbconfig.Open(dir, tbconfig.Config{Logger: discard()})
		require.ErrorContains(t, err, "thingsboard.deviceFiltering.filterFile")
		require.ErrorContains(t, err, strings.ReplaceAll(want, `\"`, `"`))
	}
}

// flows reports whether a device has data that comes after the call.
func (r *rig) flows(device string) bool {
	before := r.field.sent(device)
	denied := r.deniedPoints()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if r.deniedPoints() > denied+3 && r.field.sent(device) > before {
			return false
		}
		for _, reading := range slices.Backward(r.srv.Readings()) {
			if reading.Device == device && reading.Key == "n" && reading.Value.(int64) > before+2 {
				return true
			}
		}
	}
	r.Fatal("data of " + device + " neither flows nor is it denied")
	return false
}

func (r *rig) deniedPoints() uint64 { return r.g.Stats().Connectors["one"].Denied }

const filtering = `,"deviceFiltering":{"enable":true,"filterFile":"list.json"}`

func TestTheDeviceFilterFollowsItsFile(t *testing.T) {
	srv := serve(t)
	main := mainFile(srv, remote+filtering, inMemory, "one")
	r := start(t, srv, map[string]string{
		"tb_gateway.json": main, "one.json": `{"device":"D1"}`, "list.json": `{"deny":{"one":["D.*"]}}`,
	})
	eventually(t, "it is denied", func() bool { return r.deniedPoints() > 3 })
	r.write("list.json", `{}`)
	eventually(t, "data flows", func() bool { return len(srv.Readings()) > 3 })
	r.write("list.json", `{"allow":{"one":["E.*"]}}`)
	eventually(t, "it is denied again", func() bool { return !r.flows("D1") })
	eventually(t, "it is gone", func() bool { d, ok := srv.Device("D1"); return ok && !d.Online })

	r.write("list.json", `{"deny":{"one":["("]}}`) // what is in effect stays
	require.Contains(t, r.problem("deviceFiltering"), `connector "one"`)
	require.False(t, r.flows("D1"))
	r.write("list.json", `{"deny":{"one":["E.*"]}}`)
	r.well()
	require.True(t, r.flows("D1"))
	r.write("list.json", `{"deny":{"one":["D1"]}}`)
	eventually(t, "it is denied again", func() bool { return !r.flows("D1") })

	r.write("tb_gateway.json", mainFile(srv, remote, inMemory, "one"))
	eventually(t, "there is no filter", func() bool { return r.flows("D1") })
	require.NoError(t, os.Remove(filepath.Join(r.dir, "list.json"))) // and it may come later
	r.write("tb_gateway.json", main)
	require.Contains(t, r.problem("deviceFiltering"), "list.json")
	r.write("list.json", `{"deny":{"one":["D1"]}}`)
	eventually(t, "it is denied again", func() bool { return !r.flows("D1") })
	r.well()
	require.Equal(t, 1, r.field.count("one"), "the connector ran on")
}

func TestThePlatformTurnsTheDeviceFilterOn(t *testing.T) {
	r := remoteRig(t)
	turn := func(on bool, file string) {
		r.push(map[string]any{"general_configuration": map[string]any{"ts": now(), "deviceFiltering": map[string]any{"enable": on, "filterFile": file}}})
	}
	turn(true, "missing.json")
	require.Contains(t, r.problem("general_configuration"), "missing.json")
	require.True(t, r.flows("D1"))
	r.write("list.json", `{"deny":{"one":["D1"]}}`)
	turn(true, "list.json")
	eventually(t, "it is denied", func() bool { return !r.flows("D1") })
	r.well()

	// A change that cannot be written is taken back as a whole.
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "backup")))
	r.write("backup", "")
	turn(false, "list.json")
	require.Contains(t, r.problem("general_configuration"), "taken back")
	require.False(t, r.flows("D1"))
	require.NoError(t, os.Remove(filepath.Join(r.dir, "backup")))
	turn(false, "")
	eventually(t, "there is no filter", func() bool { return r.flows("D1") })
}

func TestTheIdleTimeoutFollowsTheFile(t *testing.T) {
	r := remoteRig(t)
	eventually(t, "data flows", func() bool { return r.flows("D1") })
	r.write("one.json", `{"rate":1}`)
	eventually(t, "the device is silent", func() bool { return r.field.runs("one", `"rate":1`) })
	online := func() bool { d, ok := r.srv.Device("D1"); return ok && d.Online }
	require.True(t, online())
	r.write("tb_gateway.json", mainFile(r.srv, remote+`,"checkingDeviceActivity":{"checkDeviceInactivity":true,"inactivityTimeoutSeconds":1}`, inMemory, "one", "two"))
	eventually(t, "it counts as gone", func() bool { return !online() })
	r.well()
}

// Devices are announced again after a restart, before they have data.
func TestDevicesAreKeptOverARestart(t *testing.T) {
	srv := serve(t)
	files := map[string]string{"tb_gateway.json": mainFile(srv, "", inMemory, "one"), "one.json": `{"device":"D1"}`}
	r := start(t, srv, files)
	eventually(t, "data flows", func() bool { return len(srv.Readings()) > 0 })
	r.stop()
	require.Contains(t, r.file("connected_devices.json"), `"D1"`)
	files["connected_devices.json"] = r.file("connected_devices.json")
	files["one.json"] = `{}`
	start(t, srv, files)
	eventually(t, "it is online again", func() bool { d, ok := srv.Device("D1"); return ok && d.Online && d.Type == "counter" })
}
