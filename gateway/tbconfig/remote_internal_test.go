package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// puppet is a manager that does nothing, and takes everything.
type puppet struct{ names map[string]bool }

func (p puppet) Add(name string, _ connector.Connector, _ ...gateway.ConnectorOption) error {
	if p.names[name] {
		return gateway.ErrExists
	}
	p.names[name] = true
	return nil
}

func (p puppet) Remove(name string) error {
	if !p.names[name] {
		return gateway.ErrUnknown
	}
	delete(p.names, name)
	return nil
}

func (p puppet) Replace(_ context.Context, name string, _ connector.Connector, _ time.Duration, _ ...gateway.ConnectorOption) error {
	if !p.names[name] {
		return gateway.ErrUnknown
	}
	return nil
}

func (p puppet) SetStore(_ context.Context, s eventstore.EventStore) (eventstore.EventStore, error) {
	return nil, errors.Join(errors.New("no store"), s.Close())
}

func (p puppet) SetPlatform(context.Context, gateway.Platform, time.Duration) error { return nil }
func (p puppet) SetReportPolicy(telemetry.ReportPolicy) error                       { return nil }
func (p puppet) SetDeviceFilter(gateway.DeviceFilter) error                         { return nil }
func (p puppet) SetIdleTimeout(time.Duration)                                       {}

func (p puppet) Stats() gateway.Stats {
	s := gateway.Stats{Connectors: make(map[string]gateway.ConnectorStats)}
	for name := range p.names {
		s.Connectors[name] = gateway.ConnectorStats{State: gateway.Running}
	}
	return s
}

const fuzzMain = `{"thingsboard":{"host":"localhost","security":{"accessToken":"CANARY-1"},"remoteConfiguration":true},
	"storage":{"type":"memory"},"connectors":[{"type":"x","name":"one","configuration":"one.json"}]}`

func fuzzService(t *testing.T) (s *Service, outside string) {
	t.Helper()
	outside = t.TempDir()
	dir := filepath.Join(outside, "conf")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte(fuzzMain), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one.json"), []byte(`{"password":"CANARY-2","id":"1"}`), 0o600))
	nothing := connector.Type{Name: "x", New: func(json.RawMessage, connector.Env) (connector.Connector, error) {
		return connector.Func(func(context.Context, connector.Host) error { return nil }), nil
	}}
	s, err := Open(dir, Config{Types: []connector.Type{nothing}, Logger: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }})
	require.NoError(t, err)
	s.manager, s.running = puppet{map[string]bool{"one": true}}, t.Context()
	s.setClient(tbclient.Dial(tbclient.Config{Broker: "tcp://127.0.0.1:1", Logger: s.log}))
	for _, p := range s.place(s.file.Connectors) {
		s.placed[p.name] = p
	}
	s.setRemote(true)
	return s, outside
}

// FuzzAttributes guards that no message of the platform breaks the configuration,
// writes outside the folder, or gets a secret told.
func FuzzAttributes(f *testing.F) {
	for _, seed := range []string{
		`{"general_configuration":{"host":"h","port":1,"security":{"type":"accessToken","accessToken":"********"},"reportStrategy":{"type":"ON_CHANGE"}}}`,
		`{"storage_configuration":{"type":"memory"},"logs_configuration":{"loggers":{"service":{"level":5}}},"grpc_configuration":{"enabled":true},"RemoteLoggingLevel":"INFO"}`,
		`{"one":{"name":"one","type":"x","configurationJson":{"id":"1","password":"********"},"ts":1893456000000}}`,
		`{"two":{"name":"../two","type":"x","configuration":"../../x.json","configurationJson":{}},"active_connectors":["one","two"]}`,
		`{"active_connectors":[]}`, `{"active_connectors":5}`, `{"uno":{"name":"uno","type":"x","configurationJson":{"id":"1"}}}`, `{"a":"{\"type\":\"x\",\"configurationJson\":{}}"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		if low := strings.ToLower(message); strings.Contains(low, "file\"") || strings.Contains(low, "sqlite") || strings.Contains(low, "folder") || strings.Contains(low, "path") {
			return // stores are opened where the message says
		}
		var values map[string]json.RawMessage
		if json.Unmarshal([]byte(message), &values) != nil {
			return
		}
		s, outside := fuzzService(t)
		var points []telemetry.Point
		for key, raw := range values {
			if v, err := telemetry.JSON(raw); err == nil {
				points = append(points, telemetry.Point{Key: key, Value: v})
			}
		}
		s.inbox.put(s.client, points, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody answers
		s.takeAttributes(ctx)
		s.announceAll()

		_, err := Open(s.dir, Config{Types: s.cfg.Types, Logger: s.log, Getenv: s.cfg.Getenv})
		require.NoError(t, err, "the configuration that is left can be read")
		entries, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing is written outside")
		for key, v := range s.echo.values {
			require.NotContains(t, v.String(), "CANARY", key)
		}
	})
}

// What waits is bounded, and the latest value of each attribute counts.
func TestTheInboxIsBounded(t *testing.T) {
	in := newInbox(slog.New(slog.DiscardHandler))
	var points []telemetry.Point
	for i := range maxWaiting + 10 {
		points = append(points, telemetry.Point{Key: strings.Repeat("x", i%100) + string(rune(i)), Value: telemetry.Int(int64(i))})
	}
	in.put(nil, points, nil)
	in.put(nil, []telemetry.Point{{Key: points[0].Key, Value: telemetry.String("latest")}}, []string{points[1].Key})
	got := in.take(nil)
	require.LessOrEqual(t, len(got), maxWaiting)
	require.Equal(t, telemetry.String("latest"), got[points[0].Key])
	require.False(t, got[points[1].Key].Valid())
	require.Empty(t, in.take(nil))
}

// slow is a platform that takes attributes when it is told to.
type slow struct{ took chan telemetry.Point }

func (s slow) PublishOwn(ctx context.Context, _, attributes []telemetry.Point) error {
	select {
	case s.took <- attributes[0]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An announcement that waits for a platform that is not used any more is made to
// the one that is.
func TestAnnouncementsMoveToAnotherPlatform(t *testing.T) {
	a := newAnnouncer(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.run(ctx) }()
	a.use(slow{make(chan telemetry.Point)}) // it never takes anything
	a.tell("key", json.RawMessage(`{"n":1}`))
	a.tell("key", json.RawMessage(`{"n":2}`))
	a.tell("gone", json.RawMessage(`{}`))
	a.forget("gone")
	a.tell("huge", json.RawMessage(`"`+strings.Repeat("x", maxAttribute)+`"`))
	a.tell("broken", json.RawMessage(`{`))
	next := slow{make(chan telemetry.Point)}
	a.use(next)
	p := <-next.took
	require.Equal(t, `key {"n":2}`, p.Key+" "+p.Value.String())
	a.tell("key", json.RawMessage(`{"n":2}`)) // known already
	a.tell("last", json.RawMessage(`3`))
	p = <-next.took
	require.Equal(t, "last", p.Key)
	cancel()
	<-done
}
