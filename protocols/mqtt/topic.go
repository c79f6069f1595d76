package mqtt

import (
	"errors"
	"fmt"
	"strings"
)

// maxTopic is the greatest length of a topic or filter, by the specification.
const maxTopic = 65535

// checkFilter reports what is wrong with a topic filter.
func checkFilter(filter string) error {
	if filter == "" {
		return errors.New("is missing")
	}
	if len(filter) > maxTopic {
		return fmt.Errorf("is longer than %d bytes", maxTopic)
	}
	if strings.IndexByte(filter, 0) >= 0 {
		return errors.New("contains a null character")
	}
	group, plain := cutShare(filter)
	if strings.HasPrefix(filter, "$share/") && (group == "" || plain == "" || strings.ContainsAny(group, "+#")) {
		return fmt.Errorf("%q: a shared subscription is $share/group/filter", filter)
	}
	rest, more := plain, true
	for more {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case strings.Contains(level, "#") && (level != "#" || more):
			return fmt.Errorf("%q: # must be the whole of the last level", filter)
		case strings.Contains(level, "+") && level != "+":
			return fmt.Errorf("%q: + must be the whole of its level", filter)
		}
	}
	return nil
}

// cutShare splits $share/group/filter. Other filters have no group.
func cutShare(filter string) (group, plain string) {
	rest, shared := strings.CutPrefix(filter, "$share/")
	if !shared {
		return "", filter
	}
	group, plain, _ = strings.Cut(rest, "/")
	return group, plain
}

// Match reports whether a topic filter matches a topic, by the rules of MQTT
// 3.1.1, section 4.7, and of shared subscriptions. An empty topic matches
// nothing.
func Match(filter, topic string) bool {
	_, filter = cutShare(filter)
	if topic == "" || filter == "" {
		return false
	}
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		want, restFilter, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		level, restTopic, moreTopic := strings.Cut(topic, "/")
		if want != "+" && want != level {
			return false
		}
		if !moreTopic {
			return !moreFilter || restFilter == "#"
		}
		if !moreFilter {
			return false
		}
		filter, topic = restFilter, restTopic
	}
}

// covers reports whether every topic that filter b matches is matched by a. Both
// belong to the same share group, or to none.
func covers(a, b string) bool {
	groupA, a := cutShare(a)
	groupB, b := cutShare(b)
	if groupA != groupB || a == "" || b == "" {
		return false
	}
	if a == "+/#" {
		a = "#" // the same topics
	}
	if b[0] == '$' && (a[0] == '+' || a[0] == '#') {
		return false
	}
	for {
		wide, restA, moreA := strings.Cut(a, "/")
		if wide == "#" {
			return true
		}
		narrow, restB, moreB := strings.Cut(b, "/")
		if narrow == "#" || wide != "+" && wide != narrow {
			return false
		}
		if !moreB {
			return !moreA || restA == "#"
		}
		if !moreA {
			return false
		}
		a, b = restA, restB
	}
}

// overlaps reports whether there is a topic that both filters match, shared or
// not.
func overlaps(a, b string) bool {
	_, a = cutShare(a)
	_, b = cutShare(b)
	if wild(a) && b[:1] == "$" || wild(b) && a[:1] == "$" {
		return false
	}
	for {
		levelA, restA, moreA := strings.Cut(a, "/")
		levelB, restB, moreB := strings.Cut(b, "/")
		switch {
		case levelA == "#" || levelB == "#":
			return true
		case levelA != "+" && levelB != "+" && levelA != levelB:
			return false
		case !moreA:
			return !moreB || restB == "#"
		case !moreB:
			return restA == "#"
		}
		a, b = restA, restB
	}
}

// wild reports whether a filter starts with a wildcard, which does not match $.
func wild(filter string) bool {
	return strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")
}
