package params_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestValue(t *testing.T) {
	object, err := telemetry.JSON([]byte(`{"a":1,"value":2}`))
	require.NoError(t, err)
	for doc, want := range map[string]telemetry.Value{
		``:                       {},
		`{}`:                     {},
		`{"value": {}}`:          {},
		`5`:                      telemetry.Int(5),
		`5.5`:                    telemetry.Float(5.5),
		`{"value": true}`:        telemetry.Bool(true),
		`"x"`:                    telemetry.String("x"),
		`18446744073709551615`:   telemetry.String("18446744073709551615"),
		`{"a": 1, "value": 2}`:   object,
		`{"value": "{\"a\":1}"}`: telemetry.String(`{"a":1}`),
	} {
		got, err := params.Value(json.RawMessage(doc))
		require.NoError(t, err, doc)
		assert.Equal(t, want, got, doc)
	}
	_, err = params.Value(json.RawMessage(`{`))
	require.ErrorContains(t, err, "parameters are not JSON")
}
