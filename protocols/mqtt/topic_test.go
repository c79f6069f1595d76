package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/mqtt"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"#", "/", true},
		{"+/+", "/", true},
		{"+", "/", false},
		{"/+", "/", true},
		{"a//b", "a//b", true},
		{"$share/g/a/+", "a/b", true},
		{"$share/g/a/#", "a", true},
		{"$share/g/+", "$SYS", false},
		{"#", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true},
		{"+/x", "$SYS/x", false},
		{"a", "A", false},
	} {
		require.Equal(t, c.want, mqtt.Match(c.filter, c.topic), "%s on %s", c.filter, c.topic)
	}
}

func TestBadFiltersAreRefused(t *testing.T) {
	for _, f := range []string{"", "a#", "#/a", "a+/b", "a/+b", "$share/g", "$share//a", "$share/g+/a", "a\x00", strings.Repeat("a", 65536)} {
		require.Error(t, mqtt.CheckFilter(f), "%.20q", f)
	}
}

// A filter covers another exactly if it matches whatever the other matches. Left
// out is /#, which matches the level above it too, but that is no topic.
func TestCoversAgreesWithMatch(t *testing.T) {
	levels := []string{"a", "b", "", "+", "#", "$x"}
	random := func(n int, from []string) string {
		parts := make([]string, 1+rand.IntN(n))
		for i := range parts {
			parts[i] = from[rand.IntN(len(from))]
		}
		return strings.Join(parts, "/")
	}
	topics := allTopics([]string{"a", "b", "", "c", "$x"}, 4)
	pairs, covering := 0, 0
	for pairs < 3000 {
		a, b := random(3, levels), random(3, levels)
		if mqtt.CheckFilter(a) != nil || mqtt.CheckFilter(b) != nil || b == "/#" {
			continue
		}
		pairs++
		covered := true
		for _, topic := range topics {
			if mqtt.Match(b, topic) && !mqtt.Match(a, topic) {
				covered = false
				break
			}
		}
		if mqtt.Covers(a, b) {
			covering++
		}
		require.Equal(t, covered, mqtt.Covers(a, b), "%q covers %q", a, b)
	}
	require.Positive(t, covering)
}

func allTopics(levels []string, depth int) []string {
	var topics []string
	last := []string{}
	for d := range depth {
		var next []string
		for _, l := range levels {
			if d == 0 {
				next = append(next, l)
				continue
			}
			for _, prefix := range last {
				next = append(next, prefix+"/"+l)
			}
		}
		topics = append(topics, next...)
		last = next
	}
	return topics
}

func TestCoveredFiltersAreNotSubscribedTo(t *testing.T) {
	c := mqtt.New(mqtt.Config{Broker: "tcp://localhost", Mappings: []mqtt.Mapping{
		{Filter: "a/b", QoS: 1, Converter: nothing},
		{Filter: "a/#", Converter: nothing},
		{Filter: "a/+", Converter: nothing},
		{Filter: "$share/g/a/#", Converter: nothing},
		{Filter: "a/#", Converter: nothing},
		{Filter: "b", QoS: 2, Converter: nothing},
	}})
	require.Equal(t, []mqtt.Subscription{{Filter: "a/#", QoS: 1}, {Filter: "$share/g/a/#"}, {Filter: "b", QoS: 1}}, mqtt.SubscriptionsOf(c))
}

var nothing = mqtt.ConverterFunc(func(mqtt.Message, *batch) error { return nil })

func BenchmarkTopicLookup100Mappings(b *testing.B) {
	filters := make([]string, 100)
	for i := range filters {
		filters[i] = fmt.Sprintf("site/%d/+/data/#", i)
	}
	lookup := mqtt.RouterLookup(filters)
	topics := make([]string, 500)
	for i := range topics {
		topics[i] = fmt.Sprintf("site/%d/meter%d/data/x", i%100, i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if lookup(topics[i%len(topics)]) != 1 {
			b.Fatal("not found")
		}
		i++
	}
}

func BenchmarkTopicMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mqtt.Match("site/+/meter/+/data", "site/kyiv/meter/42/data")
	}
}
