package snmp

import (
	"context"
	"log/slog"
	"net/netip"
	"regexp"

	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A target is a device with its lane, to whose goroutine all but the commands
// belongs.
type target struct {
	device  Device
	lane    *poll.Lane
	client  client
	groups  []*group
	rpc     []*command
	updates []*command
	names   Names
	quirks  bool // Config.Compatible

	host    *session
	online  bool // the platform was told
	healthy bool // the latest request was answered

	limit  int // objects of one request; smaller than configured if the agent cannot
	proven int // the most that were answered

	mostRepetitions   int // the same of GETBULK
	provenRepetitions int
}

func (t *target) profile() telemetry.Device {
	return telemetry.Device{Name: t.device.Name, Profile: t.device.Profile}
}

// begin forgets what an earlier Run left behind.
func (t *target) begin(ctx context.Context, s *session) {
	t.host, t.online, t.healthy = s, false, false
	t.client.run = ctx //nolint:fatcontext // that of Run, which is the same for all requests
	t.client.opened = func(a netip.Addr) { s.located(t, a) }
	s.setOffline(t, false)
	for _, g := range t.groups {
		g.reset()
	}
}

// probe finds out with one small request whether the device answers.
func (t *target) probe(ctx context.Context) error {
	oid, next := t.groups[0].cheapest()
	_, err := t.ask(ctx, &tally{}, next, []*slot{{oid: oid}})
	return err
}

// announce tells the platform of a device that is only written to: no reading will.
func (t *target) announce(ctx context.Context) {
	if len(t.groups) > 0 {
		return
	}
	if err := t.host.DeviceOnline(ctx, t.profile()); err != nil && ctx.Err() == nil {
		t.host.log.Warn("platform was not told of the device", slog.String("device", t.device.Name), slog.Any("error", err))
	}
}

// changed tells the platform that the device came or went.
func (t *target) changed(ctx context.Context, online bool, cause error) {
	host := t.host
	host.setOffline(t, !online)
	attrs := []any{slog.String("device", t.device.Name), slog.String("address", t.device.Address)}
	var err error
	switch {
	case online:
		host.Ready()
		host.log.Info("device answers", attrs...)
		for _, g := range t.groups {
			g.readmit()
		}
		err = host.DeviceOnline(ctx, t.profile())
	default:
		host.log.Warn("device does not answer", append(attrs, slog.Any("error", cause))...)
		if t.online {
			err = host.DeviceOffline(ctx, t.device.Name)
		}
	}
	t.online = online
	if err != nil && ctx.Err() == nil {
		host.log.Warn("platform was not told of the device", append(attrs, slog.Bool("online", online), slog.Any("error", err))...)
	}
}

// A command is a compiled [Command].
type command struct {
	Command

	name   *regexp.Regexp
	op     op
	writes []write
}
