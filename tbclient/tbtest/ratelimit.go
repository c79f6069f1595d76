package tbtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RateLimits are the rate limits of a tenant profile. Each message counts for
// the tenant and for one of the others. Clients are told of Gateway as
// gatewayRateLimits, and of GatewayDevice as rateLimits, or of Device if they
// are not gateways (DefaultTransportRateLimitService.checkLimits, and
// MqttTransportHandler for what is told).
type RateLimits struct {
	Tenant        Rates
	Gateway       Rates // of all devices behind a gateway together
	GatewayDevice Rates // of the gateway's own device
	Device        Rates // of a device that is not a gateway
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
type limiters struct{ tenant, gateway, gatewayDevice, device level }

func newLimiters(r RateLimits, now time.Time) (l limiters, err error) {
	for _, f := range []struct {
		rates Rates
		to    *level
	}{{r.Tenant, &l.tenant}, {r.Gateway, &l.gateway}, {r.GatewayDevice, &l.gatewayDevice}, {r.Device, &l.device}} {
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
	switch {
	case !gateway:
		return l.device.take(points, now)
	case device == Gateway:
		return l.gatewayDevice.take(points, now)
	default:
		return l.gateway.take(points, now)
	}
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
