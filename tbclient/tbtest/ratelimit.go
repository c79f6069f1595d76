package tbtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RateLimits are the rate limits of a tenant profile. A message of a device
// behind a gateway counts for the tenant, the gateway and the device; one of
// the gateway itself for the first two; one of a plain device for the tenant
// and Device. Clients are told of Gateway as gatewayRateLimits, and of
// GatewayDevice as rateLimits, or of Device if they are not gateways.
type RateLimits struct {
	Tenant        Rates
	Gateway       Rates
	GatewayDevice Rates // for each device behind a gateway
	Device        Rates
}

// Rates limit messages, as lists of count:seconds such as "10:1,300:60", all of
// which apply. The count is regained evenly over the seconds. Empty: no limit.
type Rates struct {
	Messages          string `json:"messages"`          // messages without telemetry
	TelemetryMessages string `json:"telemetryMessages"` // devices with telemetry, of all messages
	DataPoints        string `json:"telemetryDataPoints"`
}

// A bucket holds tokens, which are regained evenly.
type bucket struct {
	capacity float64
	period   time.Duration
	tokens   float64
	at       time.Time
}

func (b *bucket) refill(now time.Time) {
	b.tokens = min(b.capacity, b.tokens+b.capacity*float64(now.Sub(b.at))/float64(b.period))
	b.at = now
}

// buckets allow what each of them allows.
type buckets []bucket

func parseBuckets(s string, now time.Time) (buckets, error) {
	var bs buckets
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		count, seconds, _ := strings.Cut(item, ":")
		n, err1 := strconv.Atoi(count)
		sec, err2 := strconv.Atoi(seconds)
		if err1 != nil || err2 != nil || n <= 0 || sec <= 0 {
			return nil, fmt.Errorf("tbtest: rate limit %q is not of the form count:seconds", item)
		}
		bs = append(bs, bucket{float64(n), time.Duration(sec) * time.Second, float64(n), now})
	}
	return bs, nil
}

// take takes n tokens, or none if there are not so many.
func (bs buckets) take(n int, now time.Time) bool {
	ok := true
	for i := range bs {
		bs[i].refill(now)
		ok = ok && bs[i].tokens >= float64(n)
	}
	if !ok {
		return false
	}
	for i := range bs {
		bs[i].tokens -= float64(n)
	}
	return true
}

// A level is one subject of rate limits.
type level struct{ messages, telemetry, points buckets }

func (r Rates) level(now time.Time) (level, error) {
	var l level
	for _, f := range []struct {
		text string
		to   *buckets
	}{{r.Messages, &l.messages}, {r.TelemetryMessages, &l.telemetry}, {r.DataPoints, &l.points}} {
		bs, err := parseBuckets(f.text, now)
		if err != nil {
			return level{}, err
		}
		*f.to = bs
	}
	return l, nil
}

// take takes what a message costs: one with points carries telemetry.
func (l *level) take(points int, now time.Time) bool {
	if points == 0 {
		return l.messages.take(1, now)
	}
	return l.telemetry.take(1, now) && l.points.take(points, now)
}

// limiters are all levels. Server.mu guards them.
type limiters struct {
	tenant, gateway, device level
	gatewayDevice           Rates
	devices                 map[string]*level
}

func newLimiters(r RateLimits, now time.Time) (l limiters, err error) {
	l = limiters{gatewayDevice: r.GatewayDevice, devices: make(map[string]*level)}
	for _, f := range []struct {
		rates Rates
		to    *level
	}{{r.Tenant, &l.tenant}, {r.Gateway, &l.gateway}, {r.Device, &l.device}, {r.GatewayDevice, &level{}}} {
		if *f.to, err = f.rates.level(now); err != nil {
			return l, err
		}
	}
	return l, nil
}

// allow takes what a message of a device costs; Gateway is the client itself.
func (l *limiters) allow(gateway bool, device string, points int, now time.Time) bool {
	if !l.tenant.take(points, now) {
		return false
	}
	if !gateway {
		return l.device.take(points, now)
	}
	if !l.gateway.take(points, now) {
		return false
	}
	if device == Gateway || l.gatewayDevice == (Rates{}) {
		return true
	}
	d := l.devices[device]
	if d == nil {
		fresh, err := l.gatewayDevice.level(now)
		if err != nil {
			return true // not reached: newLimiters has parsed it
		}
		d = &fresh
		l.devices[device] = d
	}
	return d.take(points, now)
}

// allow charges a message, and counts it if a limit does not allow it.
func (s *Server) allow(se *session, device string, points int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits.allow(se.gateway, device, points, time.Now()) {
		return true
	}
	s.stats.RateLimited++
	s.notify()
	return false
}
