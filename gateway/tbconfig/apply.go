package tbconfig

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// steps are the steps of a change that were taken, in order, as what takes them
// back.
type steps []func()

func (st steps) undo() {
	for _, back := range slices.Backward(st) {
		back()
	}
}

// adopt makes apply bring doc into effect, and writes it and what else is in w.
// If anything fails, all is as it was. s.mu is held.
func (s *Service) adopt(doc document, w *writing, apply func(next File) (steps, error)) error {
	defer w.discard()
	text, err := doc.text()
	if err != nil {
		return err
	}
	next, err := doc.file(s.path, s.cfg.Getenv)
	if err != nil {
		return err
	}
	if canonical(text) != s.doc.canonical() {
		if err := w.stage(s.path, text, w.stamp); err != nil {
			return err
		}
	}
	taken, err := apply(next)
	if err == nil {
		if err = w.commit(); err != nil {
			err = fmt.Errorf("the change is taken back: %w", err)
		}
	}
	if err != nil {
		taken.undo()
		return err
	}
	s.doc, s.file.Connectors = doc, next.Connectors
	s.noteSum(s.path)
	return nil
}

// applyThingsBoard brings the section about the platform into effect, as far as it
// has changed. The steps that it took are returned even if it fails.
func (s *Service) applyThingsBoard(ctx context.Context, next File) (taken steps, err error) {
	before := s.file
	cfg, err := next.client(s.dir, s.part(logging.PartConnection))
	if err != nil {
		return nil, err
	}
	policy, err := next.policy(s.log)
	if err != nil {
		return nil, err
	}
	if connection(&next.ThingsBoard) != connection(&before.ThingsBoard) {
		if err := s.setPlatform(ctx, cfg); err != nil {
			return nil, err
		}
		taken = append(taken, func() { s.restorePlatform(ctx, before) })
	}
	if canonical(next.ThingsBoard.ReportStrategy) != canonical(before.ThingsBoard.ReportStrategy) {
		old, err := before.policy(s.log)
		if err == nil {
			err = s.manager.SetReportPolicy(policy)
		}
		if err != nil {
			return taken, fmt.Errorf("thingsboard.reportStrategy: %w", err)
		}
		taken = append(taken, func() { _ = s.manager.SetReportPolicy(old) }) // it was in effect before
	}
	s.setSection(next.ThingsBoard)
	return append(taken, func() { s.setSection(before.ThingsBoard) }), nil
}

// setSection brings what cannot fail of the section about the platform into
// effect, and reports what counts with the next start only.
func (s *Service) setSection(tb ThingsBoard) {
	s.file.ThingsBoard = tb
	s.shell.Store(tb.RemoteShell)
	s.setRemote(tb.RemoteConfiguration)
	s.setStatistics()
	s.manager.SetIdleTimeout(tb.Activity.timeout())
	s.setFilter()
	s.reportFixed()
}

// reportFixed reports the setting that is another one than when the gateway
// started.
func (s *Service) reportFixed() {
	var err error
	if s.file.ThingsBoard.Latency != s.latency {
		err = errors.New("takes effect when the gateway starts again: thingsboard.latencyDebugMode")
	}
	s.report("restart", err)
}

// connection returns what the connection to the platform depends on.
func connection(tb *ThingsBoard) string {
	c := *tb
	c.ReportStrategy, c.RemoteConfiguration, c.RemoteShell, c.Statistics, c.Filtering = nil, false, false, Statistics{}, Filtering{}
	c.CheckSeconds, c.QoS, c.Activity, c.Latency = nil, nil, Activity{}, false
	raw, err := encode(c)
	if err != nil {
		return fmt.Sprint(c)
	}
	return string(raw)
}

// setPlatform puts another connection to the platform in the place of the present
// one. If that works, the new one has its trial.
func (s *Service) setPlatform(ctx context.Context, cfg tbclient.Config) error {
	within := s.cfg.PlatformTrial
	if !s.client.Stats().Connected {
		within = 0
	}
	next := tbclient.Dial(cfg)
	unwatch := s.unwatch
	if unwatch != nil {
		unwatch = s.watch(next)
	}
	if err := s.manager.SetPlatform(ctx, next, within); err != nil {
		if unwatch != nil {
			unwatch()
		}
		s.inbox.forget(next)
		return err
	}
	if s.unwatch != nil {
		s.unwatch()
	}
	s.inbox.forget(s.client)
	clear(s.handled)
	s.setClient(next)
	s.unwatch = unwatch
	s.announceTo(next)
	return nil
}

// restorePlatform goes back to the connection of before.
func (s *Service) restorePlatform(ctx context.Context, before File) {
	cfg, err := before.client(s.dir, s.part(logging.PartConnection))
	if err == nil {
		next := tbclient.Dial(cfg)
		err = s.manager.SetPlatform(ctx, next, 0)
		if err == nil && s.unwatch != nil {
			s.unwatch()
			s.unwatch = s.watch(next)
		}
		if err == nil {
			s.setClient(next)
			s.announceTo(next)
		}
	}
	if err != nil {
		s.log.Error("the connection to the platform that was in use could not be restored", "error", err)
	}
}

// stateOf returns the state of a connector, and its last error.
func (s *Service) stateOf(name string) gateway.ConnectorStats {
	return s.manager.Stats().Connectors[name]
}
