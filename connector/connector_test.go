package connector_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

type plain struct{}

func (plain) Run(context.Context, connector.Host) error { return nil }

type handler struct{ plain }

func (handler) HandleRPC(context.Context, connector.RPCRequest) (telemetry.Value, error) {
	return telemetry.Int(1), nil
}

type wrapper struct{ connector.Connector }

func (w wrapper) Unwrap() connector.Connector { return w.Connector }

func TestAsLooksBehindWrappers(t *testing.T) {
	_, ok := connector.As[connector.RPCHandler](wrapper{wrapper{handler{}}})
	require.True(t, ok)
	_, ok = connector.As[connector.RPCHandler](wrapper{plain{}})
	require.False(t, ok)
	_, ok = connector.As[connector.RPCHandler](nil)
	require.False(t, ok)
}

func TestErrorsAreClassifiedThroughWrapping(t *testing.T) {
	err := errors.New("x")
	require.True(t, connector.IsPermanent(fmt.Errorf("more: %w", connector.Permanent(err))))
	require.True(t, connector.IsInvalid(fmt.Errorf("more: %w", connector.Invalid(err))))
	require.False(t, connector.IsInvalid(connector.Permanent(err)))
	require.ErrorIs(t, connector.Invalid(err), err)
	require.NoError(t, connector.Permanent(nil))
	require.NoError(t, connector.Invalid(nil))
}

func TestTheZeroReceiptIsDurable(t *testing.T) {
	require.NoError(t, connector.Receipt{}.Wait(t.Context()))
}

func TestTypesHaveDifferentNames(t *testing.T) {
	_, err := connector.NewSet(connector.Type{Name: "a"}, connector.Type{Name: "a"})
	require.ErrorContains(t, err, `"a"`)
}
