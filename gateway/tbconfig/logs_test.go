package tbconfig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
	"github.com/gridlinks/iot-gateway/tbclient/tbtest"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// logged reports whether the platform has a log record of a key.
func logged(srv *tbtest.Server, key string) bool {
	for _, r := range srv.Readings() {
		if r.Device == tbtest.Gateway && r.Key == key {
			return true
		}
	}
	return false
}

func TestLogLevelsFollowTheFilesAndThePlatform(t *testing.T) {
	srv := serve(t)
	out := new(journal)
	log := logging.New(logging.Config{Output: out})
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, remote, inMemory, "one", "two"),
		"one.json":        `{"logLevel":"DEBUG","enableRemoteLogging":true}`,
		"two.json":        `{}`,
		"logs.json":       `{"version":1,"loggers":{"service":{"level":"WARNING"},"connector":{"level":"ERROR"}}}`,
	}, func(c *tbconfig.Config) { c.Log = log })
	level := func(s logging.Source) slog.Level { return log.Levels.Level(s) }
	require.Equal(t, slog.LevelWarn, level(logging.Part(logging.PartService)))
	require.Equal(t, slog.LevelDebug, level(logging.Connector("one")))
	require.Equal(t, slog.LevelError, level(logging.Connector("two")))
	eventually(t, "the connector's records are sent", func() bool { return logged(srv, "one_LOGS") })
	require.False(t, logged(srv, "two_LOGS"))
	require.False(t, logged(srv, "SERVICE_LOGS"))

	r.push(map[string]any{"RemoteLoggingLevel": "INFO"})
	eventually(t, "the service's are sent", func() bool {
		log.Logger().Info("something happens", "n", time.Now().UnixNano())
		return logged(srv, "SERVICE_LOGS")
	})
	eventually(t, "the level is told", func() bool { return r.told("RemoteLoggingLevel") == `"INFO"` })
	r.push(map[string]any{"RemoteLoggingLevel": "LOUD"})
	require.Contains(t, r.problem("RemoteLoggingLevel"), "LOUD")
	r.push(map[string]any{"RemoteLoggingLevel": "NONE"})
	r.well()

	r.push(map[string]any{"logs_configuration": map[string]any{"ts": now(), "loggers": map[string]any{"service": map[string]any{"level": "DEBUG"}}}})
	eventually(t, "it is in effect", func() bool { return level(logging.Part(logging.PartService)) == slog.LevelDebug })
	require.Equal(t, slog.LevelDebug, level(logging.Connector("two")), "connectors without a level have that of the service")
	eventually(t, "it is written, and told", func() bool {
		return strings.Contains(r.file("logs.json"), "DEBUG") && strings.Contains(r.told("logs_configuration"), "DEBUG")
	})
	r.push(map[string]any{"logs_configuration": map[string]any{"ts": 5, "loggers": map[string]any{"service": map[string]any{"level": "ERROR"}}}})
	r.write("two.json", `{"logLevel":"TRACE"}`)
	eventually(t, "the file is followed", func() bool { return level(logging.Connector("two")) == logging.LevelTrace })
	require.Equal(t, slog.LevelDebug, level(logging.Part(logging.PartService)), "what is older than the file is not used")
}

func TestTheLogFileIsThatOfTheFile(t *testing.T) {
	srv := serve(t)
	folder := t.TempDir()
	log := logging.New(logging.Config{Output: new(journal)})
	handler := func(name string) string {
		return fmt.Sprintf(`{"handlers":{"f":{"filename":%q,"when":"D","interval":3,"backupCount":7}},"loggers":{"service":{"handlers":["console","f"],"level":"INFO"}}}`, name)
	}
	r := start(t, srv, map[string]string{
		"tb_gateway.json": mainFile(srv, "", inMemory, "one"), "one.json": `{}`, "logs.json": handler("./logs/service.log"),
	}, func(c *tbconfig.Config) {
		c.Log, c.LogFiles = log, true
		c.Getenv = func(name string) string { return map[string]string{"TB_GW_LOGS_PATH": folder}[name] }
	})
	read := func(name string) string { return strings.Join(contents(t, folder, name), "") }
	eventually(t, "it is written", func() bool { return strings.Contains(read("service.log"), "connector is running") })
	r.write("logs.json", handler("other.log"))
	eventually(t, "it is another one", func() bool {
		log.Logger().Info("something happens", "n", time.Now().UnixNano())
		return strings.Contains(read("other.log"), "something happens")
	})
	r.write("logs.json", handler(filepath.Join("no", "\x00", "file")))
	r.stop()
}

type runner func(c statistics.Command) (string, error)

func (r runner) Run(_ context.Context, c statistics.Command) (string, error) { return r(c) }

func TestStatisticsAreSent(t *testing.T) {
	srv := serve(t)
	main := strings.Replace(mainFile(srv, `"checkConnectorsConfigurationInSeconds":0`, inMemory, "one"), `"statistics":{"enable":false}`, `"statistics":{"enable":true,"statsSendPeriodInSeconds":10,"configuration":"statistics.json"}`, 1)
	files := map[string]string{"tb_gateway.json": main, "one.json": `{}`, "statistics.json": `[{"attributeOnGateway":"Uptime","command":"uptime","timeout":1},{"command":"x"}]`}
	r := start(t, srv, files, func(c *tbconfig.Config) {
		c.Runner = runner(func(c statistics.Command) (string, error) { return "17", nil })
	})
	eventually(t, "they arrive", func() bool {
		return logged(srv, "serviceStats") && logged(srv, "machineStats") && logged(srv, "Uptime")
	})
	require.Contains(t, r.log.String(), "commands[1]")

	quiet := start(t, serve(t), files) // without a Runner
	eventually(t, "it is said", func() bool { return strings.Contains(quiet.log.String(), "this program does not run any") })
}

func TestTheRemoteShellIsOffUnlessBothSayOtherwise(t *testing.T) {
	shell := func(_ context.Context, method string, params json.RawMessage) (telemetry.Value, error) {
		return telemetry.JSON([]byte(`{"method":"` + method + `","params":` + string(params) + `}`))
	}
	call := func(r *rig) string {
		eventually(r, "connected", func() bool { return r.svc.Client().Stats().Connected })
		answer, err := r.srv.CallGateway(r.Context(), "getTermInfo", map[string]any{"x": 1})
		require.NoError(r, err)
		return string(answer)
	}
	rigOf := func(on string, change ...func(*tbconfig.Config)) *rig {
		srv := serve(t)
		return start(t, srv, map[string]string{"tb_gateway.json": mainFile(srv, `"remoteShell":`+on, inMemory)}, change...)
	}
	with := func(c *tbconfig.Config) { c.RemoteShell = shell }
	r := rigOf("true")
	require.Contains(t, call(r), "error")
	require.Contains(t, r.log.String(), "thingsboard.remoteShell")
	r = rigOf("false", with)
	require.Contains(t, call(r), "turned off")
	r.write("tb_gateway.json", mainFile(r.srv, `"remoteShell":true`, inMemory))
	eventually(t, "it is turned on", func() bool { return strings.Contains(call(r), `"getTermInfo"`) })
	require.NotContains(t, r.log.String(), "setting has no effect")
}
