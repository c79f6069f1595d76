package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An RPCFunc carries out a remote procedure call to the gateway's own device. Its
// result is the reply; the zero Value stands for {"success":true}, and an error
// is sent as {"error": text, "code": 500}. The deadline of ctx is that of the
// call, which is answered then whatever the function does. Calls of one method
// come one at a time.
type RPCFunc func(ctx context.Context, params json.RawMessage) (telemetry.Value, error)

// Errors that a call to the gateway's own device is answered with.
var (
	// ErrMethod says that there is no such method.
	ErrMethod = errors.New("method not found")

	// ErrNotOffered says that the program does not offer a built-in method that
	// needs its help, such as a restart.
	ErrNotOffered = errors.New("this gateway does not offer that")
)

// WithRPC adds a method of the gateway's own device. The names of the built-in
// methods are taken:
//
//	gateway_ping      {"code":200,"resp":"pong"}
//	gateway_devices   {"code":200,"resp":{"device":"connector"}}
//	gateway_stats     {"eventsProduced":3,"eventsSent":2,"<Connector>EventsProduced":3,"<Connector>EventsSent":2}
//	gateway_version   {"code":200,"resp":{"current_version":"1.2.0","latest_version":"1.2.0"}}
//	gateway_restart   {"success":true}; parameter: in how many seconds; see WithRestart
//	gateway_reboot    the same; see WithReboot
//	gateway_remove_provisioned_credentials
//	                  {"code":200,"resp":"…"}; see WithCredentialsRemoval
//
// A method named <connector or type>_<method> without a function of its own goes
// to the connectors of that name or type.
func WithRPC(method string, f func(ctx context.Context, params json.RawMessage) (telemetry.Value, error)) Option {
	return func(o *options) {
		switch _, taken := o.methods[method]; {
		case method == "" || f == nil:
			o.errs = append(o.errs, errors.New("gateway: a remote procedure call needs a method and a function"))
		case taken || slices.Contains(builtIn(), method):
			o.errs = append(o.errs, fmt.Errorf("gateway: remote procedure call %q is taken", method))
		default:
			if o.methods == nil {
				o.methods = make(map[string]RPCFunc)
			}
			o.methods[method] = f
		}
	}
}

func builtIn() []string {
	return []string{
		"gateway_ping", "gateway_devices", "gateway_stats", "gateway_version", "gateway_restart", "gateway_reboot",
		"gateway_remove_provisioned_credentials", "gateway_device_renamed", "gateway_device_deleted",
	}
}

// WithRestart offers the remote procedure call gateway_restart. It calls f, which
// arranges for the program to be restarted once the given time, of a second or
// more, has passed, and returns at once. It must not wait for Run to return.
func WithRestart(f func(ctx context.Context, in time.Duration) error) Option {
	return func(o *options) { o.restart = f }
}

// WithReboot offers gateway_reboot, which restarts the machine, as WithRestart
// offers gateway_restart.
func WithReboot(f func(ctx context.Context, in time.Duration) error) Option {
	return func(o *options) { o.reboot = f }
}

// WithCredentialsRemoval offers gateway_remove_provisioned_credentials. It calls
// f, which deletes the credentials that the platform has provisioned, or returns
// fs.ErrNotExist if there are none.
func WithCredentialsRemoval(f func(ctx context.Context) error) Option {
	return func(o *options) { o.removal = f }
}

// WithVersion sets the version that gateway_version tells. The default is that of
// the program's main module.
func WithVersion(v string) Option { return func(o *options) { o.version = v } }

// HandleRPC carries out a call to the gateway's own device, as platforms do when
// one arrives. Every call is answered, with an error if the method panics or does
// not return before ctx is done.
func (g *Gateway) HandleRPC(ctx context.Context, method string, params json.RawMessage) (telemetry.Value, error) {
	f, err := g.method(method)
	if err != nil {
		return telemetry.Value{}, err
	}
	return g.inLane(ctx, "\x00"+method, "method "+strconv.Quote(method), func(ctx context.Context) (telemetry.Value, error) {
		return f(ctx, params)
	})
}

// method returns what carries out the named method.
func (g *Gateway) method(name string) (RPCFunc, error) {
	if f := g.cfg.methods[name]; f != nil {
		return f, nil
	}
	switch name {
	case "gateway_ping":
		return func(context.Context, json.RawMessage) (telemetry.Value, error) { return answer("pong") }, nil
	case "gateway_devices":
		return g.devicesRPC, nil
	case "gateway_stats":
		return g.statsRPC, nil
	case "gateway_version":
		return g.versionRPC, nil
	case "gateway_restart":
		return later(name, g.cfg.restart), nil
	case "gateway_reboot":
		return later(name, g.cfg.reboot), nil
	case "gateway_remove_provisioned_credentials":
		return g.removalRPC, nil
	}
	if f := g.connectorMethod(name); f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%q: %w", name, ErrMethod)
}

// answer returns the reply {"code":200,"resp":resp}.
func answer(resp any) (telemetry.Value, error) {
	return document(struct {
		Code int `json:"code"`
		Resp any `json:"resp"`
	}{200, resp})
}

func document(v any) (telemetry.Value, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return telemetry.Value{}, err
	}
	return telemetry.JSON(doc)
}

func (g *Gateway) devicesRPC(context.Context, json.RawMessage) (telemetry.Value, error) {
	names := make(map[string]string)
	for _, d := range g.Devices() {
		names[d.Name] = d.Connector
	}
	return answer(names)
}

func (g *Gateway) statsRPC(context.Context, json.RawMessage) (telemetry.Value, error) {
	var produced, sent uint64
	counts := make(map[string]uint64)
	for name, c := range g.Stats().Connectors {
		produced += c.Received
		sent += c.Records
		name = strings.ReplaceAll(name, " ", "")
		counts[name+"EventsProduced"] += c.Received
		counts[name+"EventsSent"] += c.Records
	}
	counts["eventsProduced"], counts["eventsSent"] = produced, sent
	return document(counts)
}

func (g *Gateway) versionRPC(context.Context, json.RawMessage) (telemetry.Value, error) {
	v := g.Version()
	return answer(map[string]string{"current_version": v, "latest_version": v})
}

// Version returns the version of the program; see [WithVersion].
func (g *Gateway) Version() string {
	if g.cfg.version != "" {
		return g.cfg.version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// later returns the method that calls f with the time that its parameter names.
func later(name string, f func(context.Context, time.Duration) error) RPCFunc {
	return func(ctx context.Context, params json.RawMessage) (telemetry.Value, error) {
		if f == nil {
			return telemetry.Value{}, fmt.Errorf("%s: %w", name, ErrNotOffered)
		}
		d, err := delay(params)
		if err != nil {
			return telemetry.Value{}, fmt.Errorf("%s: %w", name, err)
		}
		return telemetry.Value{}, f(ctx, d)
	}
}

const (
	minDelay = time.Second
	maxDelay = 24 * time.Hour
)

// delay reads a number of seconds, which may be text, or absent.
func delay(params json.RawMessage) (time.Duration, error) {
	text := string(params)
	if json.Unmarshal(params, &text) == nil {
		text = strings.TrimSpace(text)
	}
	switch text {
	case "", "null", "{}", "[]":
		return minDelay, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(s) || s < 0 || s > maxDelay.Seconds() {
		return 0, fmt.Errorf("parameter %.40q is not a number of seconds up to a day", text)
	}
	return max(minDelay, time.Duration(s*float64(time.Second))), nil
}

func (g *Gateway) removalRPC(ctx context.Context, _ json.RawMessage) (telemetry.Value, error) {
	const name = "gateway_remove_provisioned_credentials"
	if g.cfg.removal == nil {
		return telemetry.Value{}, fmt.Errorf("%s: %w", name, ErrNotOffered)
	}
	switch err := g.cfg.removal(ctx); {
	case errors.Is(err, fs.ErrNotExist):
		return document(map[string]any{"code": 404, "error": "there are no provisioned credentials"})
	case err != nil:
		return telemetry.Value{}, fmt.Errorf("%s: %w", name, err)
	}
	return answer("the provisioned credentials are removed")
}

// connectorMethod returns what passes a method to the connectors that its name
// begins with, or nil if it begins with none. Of several names the longest
// counts.
func (g *Gateway) connectorMethod(name string) RPCFunc {
	g.mu.Lock()
	defer g.mu.Unlock()
	var targets []*running
	longest := 0
	for _, r := range g.connectors {
		for _, prefix := range []string{r.name, r.kind} {
			if prefix == "" || !strings.HasPrefix(name, prefix+"_") || len(prefix) < longest {
				continue
			}
			if len(prefix) > longest {
				longest, targets = len(prefix), nil
			}
			if !slices.Contains(targets, r) {
				targets = append(targets, r)
			}
		}
	}
	if targets == nil || len(name) == longest+1 {
		return nil
	}
	slices.SortFunc(targets, func(a, b *running) int { return strings.Compare(a.name, b.name) })
	request := connector.RPCRequest{Method: name[longest+1:]}
	return func(ctx context.Context, params json.RawMessage) (telemetry.Value, error) {
		request.Params = params
		if len(targets) == 1 {
			return callConnector(ctx, targets[0], request)
		}
		return callAll(ctx, targets, request)
	}
}

func callConnector(ctx context.Context, r *running, request connector.RPCRequest) (v telemetry.Value, err error) {
	h, ok := connector.As[connector.RPCHandler](r.conn)
	if !ok {
		return v, fmt.Errorf("connector %q: %w", r.name, ErrUnsupported)
	}
	err = guard("HandleRPC", func() (err error) {
		v, err = h.HandleRPC(ctx, request)
		return err
	})
	return v, err
}

// callAll calls several connectors, one after the other, and returns their
// results by name.
func callAll(ctx context.Context, targets []*running, request connector.RPCRequest) (telemetry.Value, error) {
	results := make(map[string]json.RawMessage, len(targets))
	for _, r := range targets {
		v, err := callConnector(ctx, r, request)
		switch {
		case err != nil:
			text := telemetry.AppendString([]byte(`{"error":`), err.Error())
			results[r.name] = append(text, '}')
		case v.Kind() == telemetry.KindNone:
			results[r.name] = json.RawMessage(`{"success":true}`)
		default:
			results[r.name] = v.AppendJSON(nil)
		}
	}
	return document(results)
}
