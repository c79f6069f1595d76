package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// FileName is the name of the main configuration file.
const FileName = "tb_gateway.json"

// Load reads tb_gateway.json at path, which may also be the folder that it is
// in, and the connector files that it names, and returns the options of the gateway that they describe. Only the given
// connector types can appear in it. Options that follow in a call of
// gateway.New override those of the file.
//
// Load opens the event store; a gateway made with the options closes it. Errors
// name the file, the key and the value. What is wrong with a connector, or with
// its file, is no error of Load: that connector is in the gateway, failed for
// good, and its error is logged.
func Load(path string, types ...connector.Type) ([]gateway.Option, error) {
	set, err := connector.NewSet(types...)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	var f File
	raw, err := read(path, &f)
	if err != nil {
		return nil, fmt.Errorf("tbconfig: %w", err)
	}
	log := slog.Default()
	dir := filepath.Dir(path)
	opts, err := f.options(dir, log)
	if err != nil {
		return nil, fmt.Errorf("tbconfig: %s: %w", path, err)
	}
	warnIgnored(raw, log)
	for _, c := range f.connectors(dir, set, log) {
		opts = append(opts, gateway.WithConnector(c.name, c.Connector, c.opts...))
	}
	store, err := f.Storage.open(log)
	if err != nil {
		return nil, fmt.Errorf("tbconfig: %s: %w", path, err)
	}
	return append(opts, gateway.WithOwnedStore(store)), nil
}

// options returns the options of the sections but the storage and the
// connectors.
func (f *File) options(dir string, log *slog.Logger) ([]gateway.Option, error) {
	if err := f.ThingsBoard.environment(os.Getenv); err != nil {
		return nil, err
	}
	if f.ThingsBoard.HandleRenaming == nil {
		f.ThingsBoard.HandleRenaming = f.HandleRenaming
	}
	cfg, err := f.ThingsBoard.client(dir, f.stateFolder(dir), log)
	if err != nil {
		return nil, err
	}
	opts := []gateway.Option{gateway.WithPlatform(tbclient.Dial(cfg))}
	if f.ThingsBoard.Latency {
		opts = append(opts, gateway.WithOrigin())
	}
	if rs := f.ThingsBoard.ReportStrategy; rs != nil {
		p, err := rs.Policy()
		if err != nil {
			return nil, fmt.Errorf("thingsboard.reportStrategy.%w", err)
		}
		opts = append(opts, gateway.WithReportPolicy(p))
	}
	return opts, nil
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

// configured is a connector with its place in a gateway.
type configured struct {
	connector.Connector
	name string
	opts []gateway.ConnectorOption
}

func (f *File) connectors(dir string, set connector.Set, log *slog.Logger) []configured {
	seen := make(map[string]bool, len(f.Connectors))
	cs := make([]configured, 0, len(f.Connectors))
	for i, e := range f.Connectors {
		c, err := e.connector(dir, set, log)
		if seen[c.name] {
			err = fmt.Errorf("connectors[%d].name: %q is used twice", i, c.name)
			c.name = fmt.Sprintf("%s (%d)", c.name, i)
		}
		seen[c.name] = true
		if err != nil {
			log.Error("connector is not started", "connector", c.name, "error", err)
			c.Connector, c.opts = broken{err}, nil
		}
		cs = append(cs, c)
	}
	return cs
}

// connector makes the connector of e. Its name is set even if that fails.
func (e Entry) connector(dir string, set connector.Set, log *slog.Logger) (c configured, err error) {
	c.name = e.Name
	if c.name == "" {
		c.name = e.Type + " " + e.Configuration
	}
	raw := e.Inline
	var common struct {
		ReportStrategy *ReportStrategy `json:"reportStrategy"`
	}
	where := e.Configuration
	switch {
	case e.Configuration != "":
		raw, err = read(resolve(dir, e.Configuration), &common)
	case len(raw) > 0:
		where = "configurationJson"
		err = json.Unmarshal(raw, &common)
	default:
		err = errors.New("it has neither configuration nor configurationJson")
	}
	if err != nil {
		return c, err
	}
	if rs := common.ReportStrategy; rs != nil {
		p, err := rs.Policy()
		if err != nil {
			return c, fmt.Errorf("%s: reportStrategy.%w", where, err)
		}
		c.opts = append(c.opts, gateway.WithPolicy(p))
	}
	env := connector.Env{Name: c.name, Dir: dir, Logger: log.With("connector", c.name)}
	c.Connector, err = set.New(e.typeIn(set), raw, env)
	if err != nil {
		return c, fmt.Errorf("%s: %w", where, err)
	}
	return c, nil
}

// typeIn returns the name in set of e's type, which the class names if the
// type is not in the set.
func (e Entry) typeIn(set connector.Set) string {
	if _, ok := set[lower(e.Type)]; !ok && e.Class != "" {
		for name := range set {
			if lower(name) == lower(e.Class) {
				return name
			}
		}
	}
	return lower(e.Type)
}

func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// broken stands for a connector whose configuration is wrong.
type broken struct{ err error }

func (b broken) Run(context.Context, connector.Host) error { return connector.Permanent(b.err) }

// warnIgnored logs the settings that are switched on and have no effect.
func warnIgnored(raw []byte, log *slog.Logger) {
	var f struct {
		ThingsBoard struct {
			RemoteShell         bool `json:"remoteShell"`
			RemoteConfiguration bool `json:"remoteConfiguration"`
			QoS                 *int `json:"qos"`
			Statistics          struct {
				Enable bool `json:"enable"`
			} `json:"statistics"`
			DeviceFiltering struct {
				Enable bool `json:"enable"`
			} `json:"deviceFiltering"`
		} `json:"thingsboard"`
		GRPC struct {
			Enabled bool `json:"enabled"`
		} `json:"grpc"`
	}
	if json.Unmarshal(raw, &f) != nil {
		return // another form of a section that has no effect anyway
	}
	tb := f.ThingsBoard
	for _, s := range []struct {
		key string
		on  bool
	}{
		{"thingsboard.remoteShell", tb.RemoteShell},
		{"thingsboard.remoteConfiguration", tb.RemoteConfiguration},
		{"thingsboard.qos", tb.QoS != nil && *tb.QoS != 1},
		{"thingsboard.statistics.enable", tb.Statistics.Enable},
		{"thingsboard.deviceFiltering.enable", tb.DeviceFiltering.Enable},
		{"grpc.enabled", f.GRPC.Enabled},
	} {
		if s.on {
			log.Warn("setting has no effect in this version", "key", s.key)
		}
	}
}
