package tbclient

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/tbproto"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func newEncoder() *encoder {
	return &encoder{skip: func(string, string) {}, tooLarge: func(string, string, int, int) {}}
}

func texts(payloads []payload) []string {
	out := make([]string, len(payloads))
	for i, p := range payloads {
		out[i] = string(p.buf.b)
	}
	return out
}

func at(key string, ts int64, v int64) telemetry.Point {
	return telemetry.Point{Key: key, TS: ts, Value: telemetry.Int(v)}
}

func of(device string, points ...telemetry.Point) telemetry.Group {
	return telemetry.Group{Device: telemetry.Device{Name: device}, Telemetry: points}
}

func TestGroupsOfOneDeviceAreMerged(t *testing.T) {
	got := texts(newEncoder().encode([]telemetry.Group{
		of("A", at("x", 1, 1), at("y", 1, 2)),
		of("B\"", at("x", 1, 3)),
		of("A", at("z", 1, 4), at("x", 2, 5)),
	}, bounds{bytes: 1000}))
	require.Equal(t, []string{`{"A":[{"ts":1,"values":{"x":1,"y":2,"z":4}},{"ts":2,"values":{"x":5}}],"B\"":[{"ts":1,"values":{"x":3}}]}`}, got)
}

func TestKeyThatRepeatsStartsAnElement(t *testing.T) {
	got := texts(newEncoder().encode([]telemetry.Group{
		of("A", at("x", 1, 1), at("y", 1, 2), at("x", 1, 3), at("y", 1, 4)),
		of("B", at("y", 1, 1)),
	}, bounds{bytes: 1000}))
	require.Equal(t, []string{`{"A":[{"ts":1,"values":{"x":1,"y":2}},{"ts":1,"values":{"x":3,"y":4}}],"B":[{"ts":1,"values":{"y":1}}]}`}, got)
}

func TestOrderOfTimesIsKept(t *testing.T) {
	got := texts(newEncoder().encode([]telemetry.Group{of("A", at("x", 2, 1), at("y", 1, 2), at("z", 2, 3))}, bounds{bytes: 1000}))
	require.Equal(t, []string{`{"A":[{"ts":2,"values":{"x":1}},{"ts":1,"values":{"y":2}},{"ts":2,"values":{"z":3}}]}`}, got)
}

func TestLastValueOfAnAttributeIsSent(t *testing.T) {
	attrs := func(device string, points ...telemetry.Point) telemetry.Group {
		return telemetry.Group{Device: telemetry.Device{Name: device}, Attributes: points}
	}
	g := attrs("A", at("a", 0, 1), at("b", 0, 2))
	g.Telemetry = []telemetry.Point{at("x", 1, 1)}
	got := texts(newEncoder().encode([]telemetry.Group{g, attrs("B", at("a", 0, 3)), attrs("A", at("a", 0, 4), at("a", 0, 5))}, bounds{bytes: 1000}))
	require.Equal(t, []string{`{"A":{"a":5,"b":2},"B":{"a":3}}`, `{"A":[{"ts":1,"values":{"x":1}}]}`}, got)
}

func TestEncoderCanBeUsedAgain(t *testing.T) {
	e := newEncoder()
	groups := []telemetry.Group{of("A", at("x", 1, 1)), of("B", at("x", 1, 2))}
	first := texts(e.encode(groups, bounds{bytes: 1000}))
	e.reset()
	require.Equal(t, first, texts(e.encode(groups, bounds{bytes: 1000})))
}

// FuzzEncode checks, for any limit and any data, that payloads are valid JSON
// below the limit and hold what was put in, in order.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x10\x11\x12"), 100, "名前\x00\"")
	f.Add([]byte("aaaabbbbaabb"), 60, "")
	f.Add([]byte{255, 254, 3, 3, 3}, 10, "x")
	f.Fuzz(func(t *testing.T, data []byte, limit int, name string) {
		limit = min(max(limit, 0), 1<<16)
		var groups []telemetry.Group
		n := int64(0)
		for _, b := range data {
			n++
			dev := fmt.Sprintf("%s%d", name, b>>6)
			groups = append(groups, of(dev, at(fmt.Sprint("k", b&3), int64(b>>2&3)+1, n)))
		}
		e := newEncoder()
		dropped := 0
		e.tooLarge = func(string, string, int, int) { dropped++ }
		payloads := e.encode(groups, bounds{bytes: limit})
		last := make(map[string]float64)
		count := 0
		for _, p := range payloads {
			if len(p.buf.b) > limit {
				t.Fatalf("payload of %d bytes with limit %d", len(p.buf.b), limit)
			}
			var doc map[string][]struct {
				TS     int64
				Values map[string]float64
			}
			if err := json.Unmarshal(p.buf.b, &doc); err != nil {
				t.Fatalf("%s: %v", p.buf.b, err)
			}
			for dev, elements := range doc {
				for _, el := range elements {
					largest := last[dev]
					for _, v := range el.Values {
						count++
						if v <= last[dev] {
							t.Fatalf("%s: %v after %v", dev, v, last[dev])
						}
						largest = max(largest, v)
					}
					last[dev] = largest
				}
			}
		}
		if count+dropped != len(data) {
			t.Fatalf("%d sent and %d dropped of %d", count, dropped, len(data))
		}
	})
}

// poll is what 100 devices say in one poll of 10 points each.
func poll() []telemetry.Group {
	groups := make([]telemetry.Group, 100)
	for i := range groups {
		groups[i].Device = telemetry.Device{Name: fmt.Sprintf("meter-%03d", i), Profile: "meter"}
		for k := range 10 {
			groups[i].Telemetry = append(groups[i].Telemetry, telemetry.Point{
				Key: fmt.Sprintf("voltage_l%d", k), TS: 1_700_000_000_000, Value: telemetry.Float(230.1 + float64(k)),
			})
		}
	}
	return groups
}

// recycle gives the buffers back as acknowledgements do.
func recycle(e *encoder, payloads []payload) {
	for _, p := range payloads {
		e.buffers.put(p.buf)
	}
	e.reset()
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	e, groups := newEncoder(), poll()
	recycle(e, e.encode(groups, bounds{bytes: 52428}))
	require.Zero(t, testing.AllocsPerRun(100, func() { recycle(e, e.encode(groups, bounds{bytes: 52428})) }))
}

func BenchmarkEncode(b *testing.B) {
	e, groups := newEncoder(), poll()
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		payloads := e.encode(groups, bounds{bytes: 52428})
		size = 0
		for _, p := range payloads {
			size += len(p.buf.b)
		}
		recycle(e, payloads)
	}
	b.SetBytes(int64(size))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
}

func TestProtobufPayloadsKeepToTheLimit(t *testing.T) {
	e := newEncoder()
	e.protobuf = true
	var oversize int
	e.tooLarge = func(string, string, int, int) { oversize++ }
	groups := poll()
	groups[5].Telemetry = append(groups[5].Telemetry, telemetry.Point{Key: "big", TS: 1, Value: telemetry.String(strings.Repeat("x", 500))})
	groups[6].Attributes = []telemetry.Point{{Key: "big", Value: telemetry.String(strings.Repeat("x", 500))}, {Key: "small", Value: telemetry.Bool(true)}}
	points := 0
	for _, p := range e.encode(groups, bounds{bytes: 300}) {
		require.LessOrEqual(t, len(p.buf.b), 300)
		decode := tbproto.DecodeTelemetry
		if p.attributes {
			decode = tbproto.DecodeAttributes
		}
		got, err := decode(p.buf.b)
		require.NoError(t, err)
		for _, g := range got {
			points += len(g.Telemetry) + len(g.Attributes)
		}
	}
	require.Equal(t, 1001, points)
	require.Equal(t, 2, oversize)
}

func TestOriginIsToldInTheMetadata(t *testing.T) {
	a, b := of("A", at("x", 1, 1), at("y", 1, 2)), of("A", at("z", 1, 3))
	a.Connector, a.Received = "M\"1", 7
	b.Connector, b.Received = "M2", 7
	e := newEncoder()
	payloads := texts(e.encode([]telemetry.Group{a, b, of("A", at("u", 1, 4))}, bounds{bytes: 1000}))
	require.Len(t, payloads, 1)
	now := regexp.MustCompile(`"publishedTs":\d{13}`)
	require.Len(t, now.FindAllString(payloads[0], -1), 2)
	want := `{"A":[{"ts":1,"metadata":{"connector":"M\"1","receivedTs":7,N},"values":{"x":1,"y":2}},` +
		`{"ts":1,"metadata":{"connector":"M2","receivedTs":7,N},"values":{"z":3}},{"ts":1,"values":{"u":4}}]}`
	require.Equal(t, want, now.ReplaceAllString(payloads[0], "N"))
}
