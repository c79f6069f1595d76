package ftp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// better is what is right where the Python gateway is wrong, and the vector does not
// say what would be better.
func better() map[string]string {
	message := func(values string) string {
		return `{"deviceName":"Sensor","deviceType":"Device","attributes":{},"telemetry":[{"ts":null,"values":` + values + `}]}`
	}
	return map[string]string{
		"f08-csv-crlf-keeps-carriage-return":                  message(`{"h":"40"}`),
		"f24-extension-wildcard-name-match-ignores-extension": message(`{"t":"1"}`),
		"f28-wildcard-path-forgets-hashes":                    `{"perPoll":[[` + message(`{"t":"1"}`) + `],[]]}`,
		"f38-bad-json-kills-loop":                             `{"messages":[]}`,
		"r08-gateway-level-connector-rpc":                     `{"filesAfter":{"data/x.txt":"zz"},"replies":[{"wire":{"result":{"value":"zz"}}}]}`,
	}
}

func TestVectors(t *testing.T) {
	convertertest.Run(t, convertertest.Suite{
		Folder: "ftp",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			want := v.Expected
			if text, ok := better()[v.File]; ok {
				want = json.RawMessage(text)
			} else if v.Quirky() && len(v.Recommended) > 0 && v.Recommended[0] == '{' {
				want = v.Recommended
			}
			return runVector(tb, v, want, "")
		},
		Compatible: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, v.Expected, "thingsboard")
		},
		Restores: []string{
			"f05-csv-two-placeholders-only-first", "f08-csv-crlf-keeps-carriage-return", "f20-json-non-string-type-value",
		},
		Better: better(),
	})
}

// shape is which results a vector has.
type shape struct {
	FilesFound *[]string
	Messages   *json.RawMessage
	PerPoll    *json.RawMessage
	Replies    []map[string]json.RawMessage
}

// runVector runs a vector against a server in memory. What it returns has the members
// that want has.
func runVector(tb testing.TB, v *convertertest.Vector, want json.RawMessage, compatibility string) (any, error) {
	tb.Helper()
	var in struct {
		Files          json.RawMessage
		ChangesPerPoll []map[string]string
		Message        *struct {
			Device string
			Data   *call
			call
		}
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	server := newMemory()
	for i, f := range inOrder(tb, in.Files) {
		server.put(f[0], f[1], i)
	}
	var doc map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &doc))
	doc["compatibility"] = compatibility
	doc["stateFile"] = filepath.Join(tb.TempDir(), "state")
	c, err := server.connector(doc)
	if err != nil {
		return nil, err
	}
	var s shape
	require.NoError(tb, json.Unmarshal(want, &s))
	if in.Message != nil {
		request := connector.RPCRequest{Device: in.Message.Device, Method: in.Message.Method, Params: in.Message.Params}
		if in.Message.Data != nil {
			request.Method, request.Params = in.Message.Data.Method, in.Message.Data.Params
		}
		if method, ok := own(request); ok {
			request.Method = method
		}
		return runCall(tb, server, c, request, s.Replies), nil
	}
	polls := []json.RawMessage{pollOnce(tb, c)}
	found := server.taken()
	for i, changes := range in.ChangesPerPoll {
		for name, data := range changes {
			server.put(name, data, 100+i)
		}
		polls = append(polls, pollOnce(tb, c))
	}
	got := make(map[string]any)
	var list []map[string]any
	require.NoError(tb, json.Unmarshal(polls[0], &list))
	switch {
	case s.PerPoll != nil:
		got["perPoll"] = polls
	case s.Messages != nil || len(list) != 1:
		got["messages"] = polls[0]
	default:
		var one map[string]json.RawMessage
		require.NoError(tb, json.Unmarshal(polls[0][1:len(polls[0])-1], &one))
		for key, value := range one {
			got[key] = value
		}
	}
	if s.FilesFound != nil {
		got["filesFound"] = found
	}
	return got, nil
}

type call struct {
	Method string
	Params json.RawMessage
}

// own returns the method of a call of the connector itself, as the gateway does.
func own(r connector.RPCRequest) (string, bool) {
	const prefix = "ftp_"
	if r.Device != "" || len(r.Method) < len(prefix) {
		return "", false
	}
	return r.Method[len(prefix):], true
}

// inOrder returns the members of an object as they are written.
func inOrder(tb testing.TB, object json.RawMessage) (files [][2]string) {
	tb.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	_, err := dec.Token()
	require.NoError(tb, err)
	for dec.More() {
		name, err := dec.Token()
		require.NoError(tb, err)
		var data string
		require.NoError(tb, dec.Decode(&data))
		files = append(files, [2]string{name.(string), data})
	}
	return files
}

// connector makes a connector of a configuration file, but for the server.
func (m *memory) connector(doc map[string]any) (connector.Connector, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return ftp.NewType("ftp", func(o, security *conf.Object, cfg *ftp.Config, dir string, log *slog.Logger) {
		ftp.ReadServer(o, security, cfg, dir, log)
		cfg.Dial, cfg.Server = m.Dial, "memory"
	}).New(text, connector.Env{Name: "test"})
}

// A recorder is a host that keeps batches in the form of vectors. Times of receipt are
// those since it was made.
type recorder struct {
	*connectortest.Host
	since int64

	mu       sync.Mutex
	messages []json.RawMessage
}

func newRecorder(tb testing.TB) *recorder {
	tb.Helper()
	return &recorder{Host: connectortest.NewHost(tb), since: time.Now().UnixMilli(), messages: []json.RawMessage{}}
}

func (h *recorder) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range b.Groups() {
		for i := range g.Telemetry {
			if g.Telemetry[i].TS >= h.since {
				g.Telemetry[i].TS = 0
			}
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(convertertest.Messages(b), &list); err != nil {
		return connector.Receipt{}, err
	}
	h.messages = append(h.messages, list...)
	return connector.Receipt{}, nil
}

func pollOnce(tb testing.TB, c connector.Connector) json.RawMessage {
	tb.Helper()
	h := newRecorder(tb)
	require.NoError(tb, ftp.PollOnce(tb.Context(), c, h))
	list, err := json.Marshal(h.messages)
	require.NoError(tb, err)
	return list
}

// runCall makes a call. An error of it is what the gateway answers, and no reply of the
// connector.
func runCall(tb testing.TB, server *memory, c connector.Connector, request connector.RPCRequest, want []map[string]json.RawMessage) any {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	host := connectortest.NewHost(tb)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, host) }()
	defer func() {
		cancel()
		<-done
	}()
	host.Eventually(tb, "the connector to start", host.IsReady)
	v, err := c.(connector.RPCHandler).HandleRPC(ctx, request)
	replies := []map[string]json.RawMessage{}
	if err == nil {
		reply := map[string]json.RawMessage{"wire": json.RawMessage(v.String())}
		if len(want) == 1 { // the Python gateway sends some as the text of an object, ours as an object
			wire := want[0]["wire"]
			var text string
			if json.Unmarshal(wire, &text) == nil {
				wire = json.RawMessage(text)
			}
			if convertertest.Diff(wire, json.RawMessage(v.String()), 0) == "" {
				reply = want[0]
			}
		}
		replies = append(replies, reply)
	}
	after := make(map[string]string)
	for _, name := range server.names() {
		after[name], _ = server.get(name)
	}
	return map[string]any{"filesAfter": after, "replies": replies}
}
