package tbconfig

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The periods of statistics if the file does not say.
const (
	defaultStatistics = time.Minute
	defaultCommands   = time.Hour
)

// settings returns what the section statistics says. commands are those of its
// file.
func (st *Statistics) settings(commands []statistics.Command) statistics.Settings {
	set := statistics.Settings{Period: -1, CommandPeriod: -1}
	if st.Enable == nil || *st.Enable {
		set.Period = defaultStatistics
		if st.Period > 0 {
			set.Period = time.Duration(st.Period) * time.Second
		}
	}
	if st.EnableCustom == nil || *st.EnableCustom {
		set.CommandPeriod, set.Commands = defaultCommands, commands
		if st.CustomPeriod > 0 {
			set.CommandPeriod = time.Duration(st.CustomPeriod) * time.Second
		}
	}
	return set
}

// ownData publishes data of the gateway's own device on the connection in use.
type ownData struct{ *Service }

// PublishOwn implements statistics.Publisher and logging.Publisher.
func (d ownData) PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error {
	return d.Client().PublishOwn(ctx, points, attributes)
}

// newCollector returns what collects the statistics of the gateway.
func (s *Service) newCollector(stats func() gateway.Stats) *statistics.Collector {
	cfg := statistics.Config{
		Gateway: stats, Runner: s.cfg.Runner, Logger: s.log,
		Platform: func() statistics.Platform {
			n := s.Client().Stats()
			return statistics.Platform{Sent: n.Packets, Received: n.Calls + n.Updates}
		},
		Settings: s.file.ThingsBoard.Statistics.settings(s.commands()),
	}
	if s.cfg.Log != nil {
		cfg.Errors = s.cfg.Log.Errors.Counts
	}
	return statistics.New(cfg)
}

// setStatistics brings the section statistics, and its file, into effect; s.mu is
// held.
func (s *Service) setStatistics() {
	if s.collector != nil {
		s.collector.Set(s.file.ThingsBoard.Statistics.settings(s.commands()))
	}
}

// readStatistics does so if the file of commands has changed.
func (s *Service) readStatistics() {
	name := s.file.ThingsBoard.Statistics.Configuration
	if name == "" {
		return
	}
	path := resolve(s.dir, name)
	if raw, err := readText(path); err == nil && s.sums[path] != sha256.Sum256(raw) {
		s.setStatistics()
	}
}

// commands returns the custom commands, of which one that is wrong stops no other.
// Without a Runner there are none.
func (s *Service) commands() []statistics.Command {
	name := s.file.ThingsBoard.Statistics.Configuration
	if name == "" {
		return nil
	}
	if s.cfg.Runner == nil {
		if !s.told[name] {
			s.told[name] = true
			s.log.Warn("commands for statistics are not run, this program does not run any", "file", name)
		}
		return nil
	}
	path := resolve(s.dir, name)
	raw, err := readText(path)
	if err != nil {
		s.report(name, fmt.Errorf("thingsboard.statistics.configuration: %w", err))
		return nil
	}
	s.sums[path] = sha256.Sum256(raw)
	good, err := statistics.ParseCommands(raw)
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	s.report(name, err)
	return good
}
