package tbconfig

import (
	"log/slog"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// FileName is the name of the main configuration file.
const FileName = "tb_gateway.json"

// Load reads tb_gateway.json at path, which may also be the folder that it is in,
// and the connector files that it names, and returns the options of the gateway
// that they describe. Only the given connector types can appear in it. Options
// that follow in a call of gateway.New override those of the file.
//
// Load opens the event store; a gateway made with the options closes it. What is
// wrong with a connector, or with its file, is no error of Load: that connector is
// in the gateway, failed for good, and its error is logged.
//
// A gateway from Load stays as it is. [Open] makes a Service, which also follows
// changes of the files and of the platform, and sends statistics.
func Load(path string, types ...connector.Type) ([]gateway.Option, error) {
	s, err := Open(path, Config{Types: types})
	if err != nil {
		return nil, err
	}
	s.file.ThingsBoard.RemoteConfiguration = false
	return s.Options()
}

// client returns the configuration of the platform client.
func (f *File) client(dir string, log *slog.Logger) (tbclient.Config, error) {
	return f.ThingsBoard.client(dir, f.stateFolder(dir), log)
}

// stateFolder returns the folder of what the platform client keeps. dir is that
// of the file.
func (f *File) stateFolder(dir string) string {
	switch {
	case f.ThingsBoard.StateFolder != "":
		return resolve(dir, f.ThingsBoard.StateFolder)
	case lower(f.Storage.Type) == "memory":
		return filepath.Join(dir, "state")
	default:
		return filepath.Join(f.Storage.files().Dir, "state")
	}
}

func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// ignored returns the settings that are switched on and have no effect.
func (f *File) ignored(shell bool) (keys []string) {
	tb := &f.ThingsBoard
	for _, setting := range []struct {
		key string
		on  bool
	}{
		{"thingsboard.remoteShell", tb.RemoteShell && !shell},
		{"thingsboard.qos", tb.QoS != nil && *tb.QoS != 1},
		{"grpc.enabled", f.GRPC.Enabled},
	} {
		if setting.on {
			keys = append(keys, setting.key)
		}
	}
	return keys
}

func warnIgnored(keys []string, log *slog.Logger) {
	for _, key := range keys {
		log.Warn("setting has no effect", "key", key)
	}
}
