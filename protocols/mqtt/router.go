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
	by      []int // by filter: the subscription that brings its messages
	subs    []Subscription
	linkOf  []int // by subscription: the connection that it is made on
	links   int   // connections that are needed; at least one
	cache   []map[string]*route
}

func newRouter() *router { return &router{links: 1} }

func (r *router) add(p problems, key, filter string, qos byte, t target) {
	if err := checkFilter(filter); err != nil {
		p.add(key, err)
		return
	}
	r.filters = append(r.filters, filter)
	r.targets = append(r.targets, t)
	r.subs = append(r.subs, Subscription{Filter: filter, QoS: min(qos, 1)})
}

// reduce drops subscriptions that others cover, raises the QoS of those to the
// highest that they stand for, and gives each a link.
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
	for _, f := range r.filters {
		r.by = append(r.by, slices.IndexFunc(kept, func(k Subscription) bool { return covers(k.Filter, f) }))
	}
	r.assignLinks()
}

// assignLinks gives each subscription the first link that has none which overlaps
// with it, so that no link brings a message twice.
func (r *router) assignLinks() {
	r.linkOf = make([]int, len(r.subs))
	for i, s := range r.subs {
		taken := make([]bool, i+1)
		for j := range i {
			if overlaps(r.subs[j].Filter, s.Filter) {
				taken[r.linkOf[j]] = true
			}
		}
		r.linkOf[i] = slices.Index(taken, false)
		r.links = max(r.links, r.linkOf[i]+1)
	}
	r.cache = make([]map[string]*route, r.links)
}

// subscribed reports whether the router's subscriptions cover filter.
func (r *router) subscribed(filter string) bool {
	return slices.ContainsFunc(r.subs, func(s Subscription) bool { return covers(s.Filter, filter) })
}

// linkOfFilter returns the link of a subscription, or the first one if it is not
// among those of the configuration.
func (r *router) linkOfFilter(filter string) int {
	i := slices.IndexFunc(r.subs, func(s Subscription) bool { return s.Filter == filter })
	if i < 0 {
		return 0
	}
	return r.linkOf[i]
}

// firstLink returns the first link that brings messages of a topic.
func (r *router) firstLink(topic string) int {
	first := -1
	for i, s := range r.subs {
		if Match(s.Filter, topic) && (first < 0 || r.linkOf[i] < first) {
			first = r.linkOf[i]
		}
	}
	return max(first, 0)
}

// lookup returns the route of a topic of a message that a link has brought. It is
// cached, so that the number of filters does not matter while topics repeat.
func (r *router) lookup(topic string, link int) *route {
	if rt, ok := r.cache[link][topic]; ok {
		return rt
	}
	rt := r.route(topic, link)
	if r.cache[link] == nil || len(r.cache[link]) >= maxRoutes {
		r.cache[link] = make(map[string]*route)
	}
	r.cache[link][strings.Clone(topic)] = rt
	return rt
}

func (r *router) route(topic string, link int) *route {
	rt := &route{}
	for i, f := range r.filters {
		if r.linkOf[r.by[i]] == link && Match(f, topic) {
			rt.targets = append(rt.targets, r.targets[i])
		}
	}
	return rt
}
