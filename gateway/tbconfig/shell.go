package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var errShellOff = errors.New("the remote shell is turned off")

// callOptions returns the options for calls of the gateway's own device.
func (s *Service) callOptions() []gateway.Option {
	opts := append(s.shellOptions(), gateway.WithCredentialsRemoval(func(context.Context) error {
		return os.Remove(filepath.Join(s.dir, credentialsFile))
	}))
	if s.cfg.Version != "" {
		opts = append(opts, gateway.WithVersion(s.cfg.Version))
	}
	return opts
}

// shellOptions returns the options for the remote shell. They are there even if it
// is turned off, since it can be turned on later.
func (s *Service) shellOptions() (opts []gateway.Option) {
	if s.cfg.RemoteShell == nil {
		return nil
	}
	for _, method := range []string{"getTermInfo", "sendCommand", "getCommandStatus", "terminateCommand"} {
		opts = append(opts, gateway.WithRPC(method, func(ctx context.Context, params json.RawMessage) (telemetry.Value, error) {
			if !s.shell.Load() {
				return telemetry.Value{}, errShellOff
			}
			return s.cfg.RemoteShell(ctx, method, params)
		}))
	}
	return opts
}
