package ota

import (
	"context"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A state is what the platform is told.
type state string

const (
	stateIdle        state = "IDLE"
	stateDownloading state = "DOWNLOADING"
	stateDownloaded  state = "DOWNLOADED"
	stateVerified    state = "VERIFIED"
	stateUpdating    state = "UPDATING"
	stateUpdated     state = "UPDATED"
	stateFailed      state = "FAILED"
)

// report tells the platform a state, and what runs now. It tries until the
// platform has accepted it; the error is that of ctx.
func (r *run) report(ctx context.Context, s state, reason string) error {
	r.state = s
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("kind", r.cfg.Kind), slog.String("state", string(s))}
	if r.job != nil {
		attrs = append(attrs, slog.String("title", r.job.id.Title), slog.String("version", r.job.id.Version))
	}
	if s == stateFailed {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", reason))
	}
	r.cfg.Logger.LogAttrs(ctx, level, "update", attrs...)

	now := time.Now().UnixMilli()
	points := make([]telemetry.Point, 0, 4)
	add := func(key, value string) {
		points = append(points, telemetry.Point{Key: key, Value: telemetry.String(value), TS: now})
	}
	add("current_"+r.cfg.Kind+"_title", r.title)
	add("current_"+r.cfg.Kind+"_version", r.version)
	add(r.cfg.Kind+"_state", string(s))
	if s == stateFailed {
		add(r.cfg.Kind+"_error", reason)
	}
	var delay backoff.Backoff
	for {
		err := r.platform.PublishOwn(ctx, points, nil)
		if err == nil {
			return nil
		}
		r.cfg.Logger.Debug("the state of the update was not published", "kind", r.cfg.Kind, "error", err)
		if delay.Wait(ctx) != nil {
			return context.Cause(ctx)
		}
	}
}
