package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
)

func TestTheListNamesEveryProfileAndItsConfidence(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, nil))
	for _, name := range meter.Names() {
		require.Contains(t, out.String(), name+" ")
	}
	require.Regexp(t, `acrel-djsf1352-rn +.* medium +one public consumer code base`, out.String())
	require.Equal(t, len(meter.Names())+1, strings.Count(out.String(), "\n"))
}

func TestTheListOfAProfileHasItsPointsAndSources(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, []string{meter.ADW300}))
	require.Contains(t, out.String(), "source: official installation manual V1.3")
	require.Regexp(t, `(?m)^62 +energy_active_import +uint32 +0\.01 +kWh +pt\*ct +energy +high`, out.String())
	require.Regexp(t, `(?m)^152 +harmonic_voltage_l2_2_31 +uint16\[30\].* inferred +quantity deduced`, out.String())
	require.ErrorContains(t, run(&out, []string{"x"}), `no profile "x"`)
}
