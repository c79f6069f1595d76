package telemetry_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestWhatCountsAsAChange(t *testing.T) {
	i, f, f32, s := telemetry.Int, telemetry.Float, telemetry.Float32, telemetry.String
	nan := math.NaN()
	otherNaN := math.Float64frombits(math.Float64bits(nan) ^ 1)
	none, abs := telemetry.ReportPolicy{}, telemetry.ReportPolicy{Deadband: 0.5}
	percent, both := telemetry.ReportPolicy{DeadbandPercent: 10}, telemetry.ReportPolicy{Deadband: 0.5, DeadbandPercent: 10}
	for _, tt := range []struct {
		policy     telemetry.ReportPolicy
		prev, next telemetry.Value
		want       bool
	}{
		{none, i(1), i(1), false},
		{none, i(1), i(2), true},
		{none, i(1), f(1), true},
		{none, i(1), telemetry.Bool(true), true},
		{none, i(1), s("1"), true},
		{none, f(1), f32(1), true},
		{none, f(1), f(1.0009), true}, // no tolerance that nobody asked for
		{none, f(0), f(math.Copysign(0, -1)), false},
		{none, f(nan), f(otherNaN), false},
		{none, f(1), f(nan), true},
		{none, s("a"), s("b"), true},
		{none, i(math.MaxInt64), i(math.MaxInt64 - 1), true},
		{abs, f(1), f(1.49), false},
		{abs, f(1), f(1.5), true},
		{abs, f(1), f(0.5), true},
		{abs, i(1), f(1), false},
		{abs, i(1), i(2), true},
		{abs, f(nan), f(1), true},
		{abs, f(nan), f(otherNaN), false},
		{abs, telemetry.Bool(false), telemetry.Bool(true), true},
		{abs, i(1), telemetry.Bool(true), true},
		{percent, f(100), f(109), false},
		{percent, f(100), f(110), true},
		{percent, f(-100), f(-110), true},
		{percent, f(-100), f(-91), false},
		{percent, f(0), f(0.001), true},
		{percent, f(0), i(0), false},
		{both, f(1), f(1.2), false}, // twenty percent, but too little
		{both, f(100), f(101), false},
		{both, f(100), f(110), true},
		{both, f(0), f(0.1), false},
	} {
		require.Equal(t, tt.want, tt.policy.Changed(tt.prev, tt.next), "%+v: %v, %v", tt.policy, tt.prev, tt.next)
	}
}

func TestPoliciesThatMakeNoSense(t *testing.T) {
	for text, p := range map[string]telemetry.ReportPolicy{
		"unknown mode":        {Mode: 9},
		"period 0s":           {Mode: telemetry.OnPeriod},
		"period -1":           {Mode: telemetry.OnChangeOrPeriod, Period: -1},
		"deadband -1":         {Deadband: -1},
		"NaN%":                {DeadbandPercent: math.NaN()},
		"interval -1":         {MinInterval: -1},
		"time to live -1":     {TTL: -1},
		"unknown aggregation": {Mode: telemetry.OnPeriod, Period: 1, Aggregate: 9},
		"only reports by period": {
			Mode: telemetry.OnChangeOrPeriod, Period: 1, Aggregate: telemetry.AggregateSum,
		},
		"only the last value": {Mode: telemetry.OnChange, Repeat: true},
		"of attributes":       {Attributes: &telemetry.ReportPolicy{Mode: telemetry.OnPeriod}},
	} {
		require.ErrorContains(t, p.Check(), text)
	}
	good := telemetry.ReportPolicy{
		Mode: telemetry.OnChangeOrPeriod, Period: time.Second, Deadband: 1, DeadbandPercent: 1, MinInterval: 1, TTL: 1, Repeat: true,
		Attributes: &telemetry.ReportPolicy{},
	}
	require.NoError(t, good.Check())
}

func TestAggregationsHaveNames(t *testing.T) {
	require.Equal(t, "LAST", telemetry.AggregateLast.String())
	require.Equal(t, "COUNT", telemetry.AggregateCount.String())
	require.Equal(t, "Aggregation(9)", telemetry.Aggregation(9).String())
	require.Equal(t, telemetry.Int(0), telemetry.AggregateCount.Result(telemetry.Value{}, 0))
	require.Equal(t, telemetry.Value{}, telemetry.AggregateAvg.Result(telemetry.Value{}, 0))
}
