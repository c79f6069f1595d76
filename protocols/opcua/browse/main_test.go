package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/peer"
)

func TestPeerTreeIsPrinted(t *testing.T) {
	s := peer.OPCUA{Variables: 3}.Start(t)
	var out, problems bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-start", `Root\.Objects\.Dev`, s.URL()}, &out, &problems))
	for _, want := range []string{
		"1:Dev [ns=1;s=Dev]\n", "  1:Setpoint [ns=1;s=Setpoint] = 21.5\n", "  1:v2 [ns=1;s=v2] = 2\n", "  1:Add [ns=1;s=Add] Method\n",
		"  1:Füllstand Öl % [ns=1;s=Füllstand Öl %] = 0.5\n", "(BadSensorFailure)", `= {"Level":1.5,"Label":"x","Counts":[1,2]}`,
	} {
		require.Contains(t, out.String(), want)
	}
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-paths", "-novalues", "-depth", "1", s.URL()}, &out, &problems))
	require.Contains(t, out.String(), `Root\.Objects\.1:Dev`+"\n")
	require.NotContains(t, out.String(), "v2")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	var out, problems bytes.Buffer
	require.ErrorContains(t, run(t.Context(), nil, &out, &problems), "URL is missing")
	require.Contains(t, problems.String(), "usage:")
	require.ErrorContains(t, run(t.Context(), []string{"http://x"}, &out, &problems), "url:")
}
