package mqtt

import "github.com/gridlinks/iot-gateway/connector"

// DialBroker is the Dialer of connectors made by New.
var DialBroker Dialer = dial

// SetDialer makes a connector that Type has made connect with dial.
func SetDialer(c connector.Connector, dial Dialer) { c.(*Connector).dial = dial }

// ConverterOf returns the converter of a mapping.
func ConverterOf(c connector.Connector, mapping int) UplinkConverter {
	return c.(*Connector).cfg.Mappings[mapping].Converter
}

// ConfigOf returns the configuration that Type has read.
func ConfigOf(c connector.Connector) Config { return c.(*Connector).cfg }

// SubscriptionsOf returns what the connector subscribes to.
func SubscriptionsOf(c connector.Connector) []Subscription { return c.(*Connector).plan.router.subs }

// Covers is covers.
func Covers(a, b string) bool { return covers(a, b) }

// Idle reports whether no request of a device is being carried out.
func Idle(c connector.Connector) bool {
	r := c.(*Connector).run.Load()
	return r != nil && r.jobs.active.Load() == 0
}

// Waiting returns the number of calls that wait for a reply.
func Waiting(c connector.Connector) int64 {
	r := c.(*Connector).run.Load()
	if r == nil {
		return 0
	}
	return r.replies.waiting.Load()
}

// LinksOf returns the connection that each subscription is made on.
func LinksOf(c connector.Connector) []int { return c.(*Connector).plan.router.linkOf }

// Overlaps is overlaps.
func Overlaps(a, b string) bool { return overlaps(a, b) }

// CheckFilter is checkFilter.
func CheckFilter(filter string) error { return checkFilter(filter) }

// RouterLookup returns a function that looks up the number of targets of a topic.
func RouterLookup(filters []string) func(topic string) int {
	r := newRouter()
	for i, f := range filters {
		r.add(newProblems(), "", f, 1, target{toMapping, i})
	}
	r.reduce()
	return func(topic string) int { return len(r.lookup(topic, 0).targets) }
}

// Scans reports whether a converter of JSON finds what it converts without parsing
// the message.
func Scans(c UplinkConverter) bool { return c.(*jsonConverter).fields != nil }

// ParseAll makes a converter of JSON parse every message.
func ParseAll(c UplinkConverter) { c.(*jsonConverter).fields = nil }
