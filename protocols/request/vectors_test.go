package request_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/request"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // the vectors were made there
	os.Exit(m.Run())
}

func TestVectors(t *testing.T) {
	d := func(ts, values string) string {
		return `{"deviceName":"D","deviceType":"T","attributes":{},"telemetry":[{"ts":` + ts + `,"values":` + values + `}]}`
	}
	const now = "1700000000000"
	convertertest.Run(t, convertertest.Suite{
		Folder: "request",
		Run: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "")
		},
		Compatible: func(tb testing.TB, v *convertertest.Vector) (any, error) {
			tb.Helper()
			return runVector(tb, v, "thingsboard")
		},
		Restores: []string{"null_and_false_and_zero", "object_value_raw", "name_missing"},
		Better: map[string]string{
			"values_in_object_with_own_ts": d("1699999999999", `{"t":1}`),
			"null_and_false_and_zero":      d(now, `{"f":false,"z":0}`),
			"object_value_raw":             d(now, `{"o":{"x":[1,2]},"os":"{\"x\":[1,2]}"}`),
			"name_missing":                 convertertest.Refused,
			"template_partially_missing":   `[]`,
			"key_placeholder":              d(now, `{"hum":"66"}`),
			"type_string_stringifies":      d(now, `{"a":"5","b":5,"c":"7.5","d":3}`),
		},
	}, convertertest.Suite{
		Folder: "request_downlink",
		Run:    runDownlink,
		Better: map[string]string{
			"attr_update_only_first_key": `[{"url":"sensor/SD1/a/1","data":"{\"a\":\"1\"}"},{"url":"sensor/SD1/b/2","data":"{\"b\":\"2\"}"}]`,
			"rpc_params_word_fails":      `{"url":"sensor/SD1/request/echo/4","data":"hello"}`,
		},
	})
}

// runVector converts the answer of a vector by an endpoint that is loaded of a file.
func runVector(tb testing.TB, v *convertertest.Vector, compatibility string) (any, error) {
	tb.Helper()
	var in struct{ Response json.RawMessage }
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	doc, err := json.Marshal(map[string]any{"host": "h", "compatibility": compatibility, "mapping": []json.RawMessage{v.Config}})
	require.NoError(tb, err)
	c, err := request.Type().New(doc, connector.Env{Name: "test"})
	require.NoError(tb, err)
	return request.Convert(c, "application/json", in.Response)
}

// A sent is a request as the vectors show it.
type sent struct {
	URL  string `json:"url"`
	Data string `json:"data"`
}

// runDownlink carries out the command of a vector, on a server, by a connector that is
// loaded of a file.
func runDownlink(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var mu sync.Mutex
	var got []sent
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, sent{strings.TrimPrefix(r.URL.EscapedPath(), "/"), string(body)})
	}))
	defer server.Close()
	var in struct {
		Device string
		Data   json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	var call struct {
		ID     int64
		Method string
		Params json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(in.Data, &call))
	section := "attributeUpdates"
	if call.Method != "" {
		section = "serverSideRpc"
	}
	doc, err := json.Marshal(map[string]any{"host": server.URL, section: []json.RawMessage{v.Config}})
	require.NoError(tb, err)
	c, err := request.Type().New(doc, connector.Env{Name: "test"})
	require.NoError(tb, err)
	running, _ := run(tb, c.(*request.Connector))
	if call.Method != "" {
		_, err = running.HandleRPC(tb.Context(), connector.RPCRequest{Device: in.Device, ID: call.ID, Method: call.Method, Params: call.Params})
	} else {
		err = running.UpdateAttributes(tb.Context(), updateOf(tb, in.Device, in.Data))
	}
	if err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) == 1 {
		return asPythonPrints(got[0], v.Expected), nil
	}
	return got, nil
}

func updateOf(tb testing.TB, device string, data json.RawMessage) connector.AttributeUpdate {
	tb.Helper()
	u := connector.AttributeUpdate{Device: device}
	var values map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	require.NoError(tb, dec.Decode(&values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v, err := telemetry.ValueOf(values[key])
		require.NoError(tb, err)
		u.Attributes = append(u.Attributes, telemetry.Point{Key: key, Value: v})
	}
	return u
}

// asPythonPrints returns got with the blanks of the expected document, if both say the
// same: Python prints blanks between the tokens of JSON, which mean nothing.
func asPythonPrints(got sent, expected json.RawMessage) sent {
	var want sent
	if json.Unmarshal(expected, &want) != nil {
		return got
	}
	var a, b any
	if json.Unmarshal([]byte(got.Data), &a) == nil && json.Unmarshal([]byte(want.Data), &b) == nil && reflect.DeepEqual(a, b) {
		got.Data = want.Data
	}
	return got
}
