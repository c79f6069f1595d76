package mqtt

import (
	"slices"
	"strings"
)

type targetKind uint8

const (
	toMapping targetKind = iota
	toConnect
	toDisconnect
	toAttributes
)

// A target is what a message is for.
type target struct {
	kind  targetKind
	index int // in its list of the configuration
}

// A route is what messages of one topic are for.
type route struct {
	targets []target
}

// maxRoutes bounds the topics whose route is remembered.
const maxRoutes = 8192

// A router finds the targets of a topic. Its tables do not change once reduce
// was called; lookup must not be called concurrently.
type router struct {
	filters []string
	targets []target
	subs    []Subscription
	cache   map[string]*route
}

func newRouter() *router { return &router{} }

func (r *router) add(p problems, key, filter string, qos byte, t target) {
	if err := checkFilter(filter); err != nil {
		p.add(key, err)
		return
	}
	r.filters = append(r.filters, filter)
	r.targets = append(r.targets, t)
	r.subs = append(r.subs, Subscription{Filter: filter, QoS: min(qos, 1)})
}

// reduce drops subscriptions that others cover, and raises the QoS of those to
// the highest that they stand for.
func (r *router) reduce() {
	var kept []Subscription
	for i, s := range r.subs {
		by := slices.IndexFunc(kept, func(k Subscription) bool { return covers(k.Filter, s.Filter) })
		if by >= 0 {
			kept[by].QoS = max(kept[by].QoS, s.QoS)
			continue
		}
		wider := slices.IndexFunc(r.subs[i+1:], func(k Subscription) bool {
			return covers(k.Filter, s.Filter) && !covers(s.Filter, k.Filter)
		})
		if wider >= 0 {
			k := &r.subs[i+1+wider]
			k.QoS = max(k.QoS, s.QoS)
			continue
		}
		kept = append(kept, s)
	}
	r.subs = kept
}

// subscribed reports whether the router's subscriptions cover filter.
func (r *router) subscribed(filter string) bool {
	return slices.ContainsFunc(r.subs, func(s Subscription) bool { return covers(s.Filter, filter) })
}

// lookup returns the route of a topic. It is cached, so that the number of
// filters does not matter while topics repeat.
func (r *router) lookup(topic string) *route {
	if rt, ok := r.cache[topic]; ok {
		return rt
	}
	rt := r.route(topic)
	if r.cache == nil || len(r.cache) >= maxRoutes {
		r.cache = make(map[string]*route)
	}
	r.cache[strings.Clone(topic)] = rt
	return rt
}

func (r *router) route(topic string) *route {
	rt := &route{}
	for i, f := range r.filters {
		if Match(f, topic) {
			rt.targets = append(rt.targets, r.targets[i])
		}
	}
	return rt
}
