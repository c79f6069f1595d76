package tbtest

import (
	"strings"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"
)

// granted reports whether the platform grants a subscription: to these literal
// filters, and to no others.
func granted(filter string) bool {
	switch filter {
	case "v1/devices/me/rpc/request/+", "v1/devices/me/rpc/response/+",
		"v1/devices/me/attributes", "v1/devices/me/attributes/response/+",
		"v1/gateway/attributes", "v1/gateway/attributes/response", "v1/gateway/rpc",
		"v2/fw/response/+/chunk/+", "v2/sw/response/+/chunk/+", "v2/fw/error", "v2/sw/error",
		"v2/a", "v2/a/j", "v2/a/p", "v2/a/res/+", "v2/a/res/j/+", "v2/a/res/p/+",
		"v2/r/req/+", "v2/r/req/j/+", "v2/r/req/p/+", "v2/r/res/+", "v2/r/res/j/+", "v2/r/res/p/+":
		return true
	}
	return false
}

// subscriptions are the filters that a session was granted, with their QoS.
type subscriptions struct {
	mu  sync.Mutex
	set map[string]byte
}

func (s *subscriptions) add(filter string, qos byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[string]byte)
	}
	s.set[filter] = qos
}

func (s *subscriptions) remove(filter string) (existed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, existed = s.set[filter]
	delete(s.set, filter)
	return existed
}

// first returns the first of the filters that is subscribed to.
func (s *subscriptions) first(filters ...string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range filters {
		if _, ok := s.set[f]; ok {
			return f, true
		}
	}
	return "", false
}

// qos returns the QoS to publish with on a topic: 1 if there is no subscription.
func (s *subscriptions) qos(topic string) byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, qos := range s.set {
		if matches(f, topic) {
			return qos
		}
	}
	return 1
}

// matches reports whether a filter without # matches a topic.
func matches(filter, topic string) bool {
	for {
		f, restF, moreF := strings.Cut(filter, "/")
		t, restT, moreT := strings.Cut(topic, "/")
		if f != t && f != "+" || moreF != moreT {
			return false
		}
		if !moreF {
			return true
		}
		filter, topic = restF, restT
	}
}

// subscribe grants filters, with QoS 1 at most.
func (se *session) subscribe(p *packets.Packet, granted func(string) bool) error {
	reply := header(packets.Suback)
	reply.PacketID = p.PacketID
	refused := reasonUnspecified
	if se.version == 5 {
		refused = reasonFilter
	}
	for _, f := range p.Filters {
		code := refused
		if granted(f.Filter) {
			code = min(f.Qos, 1)
			se.subscriptions.add(f.Filter, code)
		}
		reply.ReasonCodes = append(reply.ReasonCodes, code)
	}
	se.srv.event(func() {}) // a call may wait for the subscription
	return se.write(reply)
}

func (se *session) unsubscribe(p *packets.Packet) error {
	const noSubscription = 17
	reply := header(packets.Unsuback)
	reply.PacketID = p.PacketID
	for _, f := range p.Filters {
		code := byte(noSubscription)
		if se.subscriptions.remove(f.Filter) {
			code = 0
		}
		reply.ReasonCodes = append(reply.ReasonCodes, code)
	}
	return se.write(reply)
}
