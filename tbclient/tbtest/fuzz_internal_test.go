package tbtest

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzGatewayMessages reads messages of gateways in both formats.
func FuzzGatewayMessages(f *testing.F) {
	for _, s := range []string{
		`{"d":[{"ts":1,"values":{"a":1}}]}`, `{"d":{"a":{"x":[]}}}`, `{"device":"d","type":null}`, `{"":[1]}`,
		`{"id":"7","device":5,"client":true,"keys":[1,null]}`, `{"device":"d","id":1e9,"data":[{}]}`,
		"\x0a\x08\x0a\x01d\x1a\x03\x0a\x01\x08", "\x0a\x01d\x12\x01t", "\x08\x07\x12\x01d\x18\x01\x22\x01a", "\xff\xff\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, c := range []codec{jsonCodec{}, protobufCodec{}} {
			if name, _, err := c.connect(payload); err == nil && name == "" {
				t.Fatalf("%T connects a device without a name", c)
			}
			for _, read := range []func([]byte) ([]deviceData, error){c.telemetry, c.attributes} {
				data, err := read(payload)
				if err == nil && len(data) == 0 {
					t.Fatalf("%T: a message about no device is accepted", c)
				}
				for _, d := range data {
					if err == nil && d.device == "" {
						t.Fatalf("%T: a device without a name", c)
					}
				}
			}
			_, _ = c.disconnect(payload)
			_, _ = c.rpcReply(payload)
			_, _ = c.claims(payload)
			if q, err := c.attributeRequest(payload); err == nil {
				if _, err := c.attributeResponse(q, map[string]any{"a": 1.0}, len(q.keys) > 1); err != nil {
					t.Fatalf("%T cannot answer: %v", c, err)
				}
			}
		}
	})
}

// FuzzProvisionRequest reads requests for provisioning.
func FuzzProvisionRequest(f *testing.F) {
	for _, s := range []string{
		`{"provisionDeviceKey":"k","provisionDeviceSecret":"s"}`, `{"credentialsType":"MQTT_BASIC","clientId":1}`,
		`{"provisionDeviceKey":"k","provisionDeviceSecret":"s","credentialsType":"X509_CERTIFICATE","hash":"-----BEGIN CERTIFICATE-----\n"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, err := parseJSON(payload)
		if err != nil {
			return
		}
		if q, err := parseProvisionRequest(n); err == nil && (q.key == "" || q.secret == "") {
			t.Fatalf("%q is accepted without a key or secret", payload)
		}
	})
}

// FuzzTopics parses topics, and matches them with themselves.
func FuzzTopics(f *testing.F) {
	for _, s := range []string{
		"v1/devices/me/attributes/request/1", "v2/a/req/j/1", "v2/r/res/p/", "v2/fw/request/1/chunk/2", "v2/sw/request//chunk/", "v2/t/p", "a/+/b", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		_, own := parseOwnTopic(topic)
		if c, ok := parseChunkTopic(topic); ok && (own || c.chunk < 0) {
			t.Fatalf("%q is of two kinds, or of chunk %d", topic, c.chunk)
		}
		if !matches(topic, topic) {
			t.Fatalf("%q does not match itself", topic)
		}
	})
}

// FuzzReadPacket reads packets of clients.
func FuzzReadPacket(f *testing.F) {
	for _, s := range []string{
		"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c", "\x32\x07\x00\x01t\x00\x01{}",
		"\x82\x06\x00\x01\x00\x01a\x01", "\x82\x06\x00\x01\x00\x00\x01a", "\xa2\x05\x00\x01\x00\x01a", "\x40\x02\x00\x01", "\xe0\x00", "\xe0\x02\x04\x00",
		"\xc0\x00", "\x62\x02\x00\x01",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		version := byte(4)
		if five {
			version = 5
		}
		p, err := readPacket(bufio.NewReader(bytes.NewReader(data)), version, 1<<20)
		if err == nil && p.FixedHeader.Remaining > len(data) {
			t.Fatalf("%x: a packet of %d bytes was read", data, p.FixedHeader.Remaining)
		}
	})
}
