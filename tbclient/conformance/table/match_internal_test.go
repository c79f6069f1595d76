package table

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEventsAreCompared(t *testing.T) {
	for _, c := range []struct {
		name            string
		want, got       []string
		right, complete bool
	}{
		{"nothing", nil, nil, true, true},
		{"what is unexpected", nil, []string{"PUBACK"}, false, false},
		{"what is still missing", []string{"PUBACK", "closed"}, []string{"PUBACK"}, true, false},
		{"another reason", []string{"PUBACK 131"}, []string{"PUBACK 128"}, false, false},
		{"a reason where none was expected", []string{"PUBACK"}, []string{"PUBACK 153"}, false, false},
		{"another order", []string{"PUBACK", "PINGRESP"}, []string{"PINGRESP", "PUBACK"}, false, false},
		{"the end", []string{"closed"}, []string{"closed"}, true, true},
		{"the end, announced", []string{"closed"}, []string{"DISCONNECT 131", "closed"}, true, true},
		{"the end, about to come", []string{"closed"}, []string{"DISCONNECT 131"}, true, false},
		{"the end, announced twice", []string{"DISCONNECT 129", "closed"}, []string{"DISCONNECT 129", "DISCONNECT 131", "closed"}, false, false},
		{"the end, announced wrongly", []string{"DISCONNECT 129", "closed"}, []string{"DISCONNECT 131", "closed"}, false, false},
		{"an announcement without the end", []string{"PUBACK"}, []string{"DISCONNECT 131"}, false, false},
		{"one of several codes", []string{"CONNACK 134|135"}, []string{"CONNACK 135"}, true, true},
		{"none of several codes", []string{"CONNACK 134|135"}, []string{"CONNACK 13"}, false, false},
		{"a session that is not expected", []string{"CONNACK 0"}, []string{"CONNACK 0 session"}, false, false},
		{"unwanted", []string{"no PUBREC"}, []string{"PUBREC"}, false, false},
		{"not unwanted", []string{"no PUBREC"}, []string{"DISCONNECT 155", "closed"}, true, true},
		{"JSON in another order", []string{`PUBLISH t {"a":1,"b":[2.0]}`}, []string{`PUBLISH t {"b":[2],"a":1}`}, true, true},
		{"JSON with more members", []string{`PUBLISH t {"a":1}`}, []string{`PUBLISH t {"a":1,"b":2}`}, false, false},
		{"JSON with fewer members", []string{`PUBLISH t {"a":1,"b":2}`}, []string{`PUBLISH t {"a":1}`}, false, false},
		{"JSON with another member", []string{`PUBLISH t {"a":1}`}, []string{`PUBLISH t {"b":1}`}, false, false},
		{"a string for a number", []string{`PUBLISH t {"a":12}`}, []string{`PUBLISH t {"a":"12"}`}, false, false},
		{"any value", []string{`PUBLISH t {"a":"$any"}`}, []string{`PUBLISH t {"a":{"x":1}}`}, true, true},
		{"another topic", []string{`PUBLISH t/1 {}`}, []string{`PUBLISH t/2 {}`}, false, false},
		{"no JSON", []string{`PUBLISH t text`}, []string{`PUBLISH t other`}, false, false},
		{"no payload", []string{`PUBLISH t `}, []string{`PUBLISH t `}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m matcher
			right, complete := m.all(c.want, c.got)
			require.Equal(t, c.right, right)
			require.Equal(t, c.complete, complete)
		})
	}
}

func TestNumbersOfRequestsAreKept(t *testing.T) {
	var m matcher
	right, _ := m.all([]string{`PUBLISH v1/gateway/rpc {"data":{"id":"$id"}}`}, []string{`PUBLISH v1/gateway/rpc {"data":{"id":42}}`})
	require.True(t, right)
	require.Equal(t, "42", m.id)
	right, _ = m.all([]string{`PUBLISH rpc/request/$id {}`}, []string{`PUBLISH rpc/request/17 {}`})
	require.True(t, right)
	require.Equal(t, "17", m.id)
}

func TestMQTT311ShowsNoReasons(t *testing.T) {
	require.Equal(t, []string{"PUBACK", "SUBACK 1 128", "closed"}, without([]string{"PUBACK 131", "SUBACK 1 143", "DISCONNECT 129", "closed"}))
}

func TestAddresses(t *testing.T) {
	for broker, want := range map[string]string{
		"tcp://host": "host:1883", "tls://host": "host:8883", "host:1": "host:1", "mqtts://[::1]:5": "[::1]:5",
	} {
		got, _, err := address(broker)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, broker := range []string{"", "http://host", "tcp://"} {
		_, _, err := address(broker)
		require.Error(t, err, broker)
	}
}

func FuzzReadPacket(f *testing.F) {
	for _, seed := range []string{
		"\x20\x02\x00\x00", "\x20\x03\x01\x05\x00", "\x40\x02\x00\x01", "\x40\x03\x00\x01\x97", "\x90\x04\x00\x01\x00\x80",
		"\x32\x07\x00\x01t\x00\x01{}", "\xe0\x02\x81\x00", "\xd0\x00", "\xb0\x04\x00\x01\x00\x00", "\xff\xff\xff\xff\x7f", "\x90\x03\x00\x01\x26",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		version := byte(4)
		if five {
			version = 5
		}
		p, err := readPacket(bufio.NewReader(bytes.NewReader(data)), version)
		if err == nil && event(p) == "" {
			t.Fatalf("%x has no description", data)
		}
	})
}
