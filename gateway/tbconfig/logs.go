package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

// logsFile is the file about logging, in the folder of tb_gateway.json.
const logsFile = "logs.json"

// logsConfig is the part of logs.json, a document of Python's logging.config, that
// has a meaning here.
type logsConfig struct {
	Handlers map[string]struct {
		FileName string      `json:"filename"`
		When     string      `json:"when"`
		Interval json.Number `json:"interval"`
		Backups  json.Number `json:"backupCount"`
		MaxBytes json.Number `json:"maxBytes"`
	} `json:"handlers"`
	Loggers map[string]logsLogger `json:"loggers"`
	Root    logsLogger            `json:"root"`
}

type logsLogger struct {
	Handlers []string        `json:"handlers"`
	Level    json.RawMessage `json:"level"`
}

// level returns the level of a logger; ok is false if it has none.
func (l logsLogger) level() (level slog.Level, ok bool, err error) {
	if len(l.Level) == 0 || string(l.Level) == "null" {
		return 0, false, nil
	}
	level, err = parseLevel(l.Level)
	return level, err == nil, err
}

// parseLevel returns the level that a JSON text or number names.
func parseLevel(raw json.RawMessage) (slog.Level, error) {
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, errors.New("is not the name of a level")
		}
	}
	return logging.ParseLevel(text)
}

// levels returns the levels that c asks for.
func (c *logsConfig) levels() (rest slog.Level, by map[logging.Source]slog.Level, err error) {
	rest, ok, err := c.Loggers[logging.PartService].level()
	if err != nil {
		return 0, nil, fmt.Errorf("loggers.service.level: %w", err)
	}
	if !ok {
		rest = slog.LevelInfo
	}
	by = make(map[logging.Source]slog.Level)
	for _, name := range slices.Sorted(maps.Keys(c.Loggers)) {
		level, ok, err := c.Loggers[name].level()
		if err != nil {
			return 0, nil, fmt.Errorf("loggers.%s.level: %w", name, err)
		}
		if ok {
			by[logging.Part(name)] = level
		}
	}
	return rest, by, nil
}

// file returns the rotating file that everything is logged to: that of the logger
// service. The original has one for each logger.
func (c *logsConfig) file(getenv func(string) string) (cfg logging.FileConfig, ok bool) {
	for _, name := range c.Loggers[logging.PartService].Handlers {
		h := c.Handlers[name]
		if h.FileName == "" {
			continue
		}
		cfg.Path = h.FileName
		if folder := getenv("TB_GW_LOGS_PATH"); folder != "" {
			cfg.Path = filepath.Join(folder, filepath.Base(h.FileName))
		}
		interval := max(1, integer(h.Interval))
		switch strings.ToUpper(h.When) {
		case "S":
			cfg.Every = time.Duration(interval) * time.Second
		case "M":
			cfg.Every = time.Duration(interval) * time.Minute
		case "", "H":
			cfg.Every = time.Duration(interval) * time.Hour
		default:
			cfg.Every = time.Duration(interval) * 24 * time.Hour // D, midnight; a week's days as well
		}
		cfg.MaxBytes, cfg.Backups = integer(h.MaxBytes), int(integer(h.Backups))
		if cfg.Backups <= 0 {
			cfg.Backups = -1
		}
		return cfg, true
	}
	return cfg, false
}

func integer(n json.Number) int64 {
	v, err := n.Int64()
	if err != nil {
		return 0
	}
	return v
}

// logSettings is what the logging is set to.
type logSettings struct {
	raw  json.RawMessage // logs.json
	rest slog.Level
	by   map[logging.Source]slog.Level
	file logging.FileConfig
}

// parseLogs reads the content of logs.json.
func (s *Service) parseLogs(raw json.RawMessage) (set logSettings, err error) {
	var c logsConfig
	if err := decode(filepath.Join(s.dir, logsFile), raw, &c); err != nil {
		return set, err
	}
	set.raw = raw
	if set.rest, set.by, err = c.levels(); err != nil {
		return set, fmt.Errorf("%s: %w", logsFile, err)
	}
	set.file, _ = c.file(s.cfg.Getenv)
	return set, nil
}

// applyLogs brings the settings into effect; s.mu is held.
func (s *Service) applyLogs(set logSettings) error {
	if s.cfg.Log == nil {
		s.logs = set
		return nil
	}
	if s.cfg.LogFiles && set.file != s.logs.file {
		if err := s.setLogFile(set.file); err != nil {
			return err
		}
	}
	s.logs = set
	s.setLevels()
	return nil
}

// setLogFile makes everything be logged to another file as well.
func (s *Service) setLogFile(cfg logging.FileConfig) error {
	var next *logging.File
	var out io.Writer = os.Stderr
	if cfg.Path != "" {
		var err error
		if next, err = logging.OpenFile(cfg); err != nil {
			return err
		}
		out = io.MultiWriter(os.Stderr, next)
	}
	s.cfg.Log.SetOutput(out)
	before := s.logFile
	s.logFile = next
	if before != nil {
		return before.Close()
	}
	return nil
}

// closeLog ends the log file.
func (s *Service) closeLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logFile == nil {
		return
	}
	s.cfg.Log.SetOutput(os.Stderr)
	_ = s.logFile.Close() // everything is written
	s.logFile = nil
}

// setLevels sets the level of every source: of the parts by logs.json, and of the
// connectors by the files of their own, if they say so.
func (s *Service) setLevels() {
	log := s.cfg.Log
	if log == nil {
		return
	}
	by := maps.Clone(s.logs.by)
	if by == nil {
		by = make(map[logging.Source]slog.Level)
	}
	remote := make(map[logging.Source]slog.Level)
	for _, part := range []string{logging.PartService, logging.PartConnection, logging.PartStorage, logging.PartExtension} {
		remote[logging.Part(part)] = s.remoteLevel
	}
	for name, p := range s.placed {
		level, given, send := p.logging()
		if given {
			by[logging.Connector(name)] = level
		}
		if send {
			remote[logging.Connector(name)] = level
		}
	}
	log.Levels.SetAll(s.logs.rest, by)
	log.Remote.Levels().SetAll(logging.LevelNone, remote)
}

// logging returns the level of a connector, if it has one of its own, and whether
// what it logs goes to the platform.
func (p *placed) logging() (level slog.Level, given, send bool) {
	var c struct {
		Level  json.RawMessage `json:"logLevel"`
		Remote bool            `json:"enableRemoteLogging"`
	}
	if json.Unmarshal(p.raw, &c) != nil || len(c.Level) == 0 || string(c.Level) == "null" {
		return slog.LevelInfo, false, c.Remote
	}
	level, err := parseLevel(c.Level)
	if err != nil {
		return slog.LevelInfo, false, c.Remote
	}
	return level, true, c.Remote
}

// readLogs brings logs.json into effect, if there is one and it has changed.
func (s *Service) readLogs() {
	path := filepath.Join(s.dir, logsFile)
	raw, err := readText(path)
	if errors.Is(err, os.ErrNotExist) {
		s.report(logsFile, nil)
		return
	}
	if err == nil {
		if !s.changedSum(path, raw) {
			return
		}
		var set logSettings
		if set, err = s.parseLogs(raw); err == nil {
			err = s.applyLogs(set)
		}
	}
	s.report(logsFile, err)
	if err == nil {
		s.announceLogs()
	}
}

// takeLogs takes the content of logs.json.
func (s *Service) takeLogs(_ context.Context, raw json.RawMessage) error {
	fields, err := valid(raw, s.logs.raw)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, logsFile)
	if olderThanFile(fields, path) {
		return errOlder
	}
	stamp := stampOf(fields)
	delete(fields, "ts")
	text, err := pretty(fields)
	if err != nil {
		return err
	}
	set, err := s.parseLogs(text)
	if err != nil {
		return err
	}
	w := s.writing()
	defer w.discard()
	if err := w.stage(path, text, stamp); err != nil {
		return err
	}
	before := s.logs
	if err := s.applyLogs(set); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return errors.Join(err, s.applyLogs(before))
	}
	s.noteSum(path)
	return nil
}

// takeLevel takes the level of what the gateway's parts send to the platform.
func (s *Service) takeLevel(_ context.Context, raw json.RawMessage) error {
	level, err := parseLevel(raw)
	if err != nil {
		return err
	}
	s.remoteLevel = level
	s.setLevels()
	return nil
}

func (s *Service) announceLogs() {
	fields, err := object(s.logs.raw)
	if err != nil || len(fields) == 0 {
		return
	}
	fields["ts"] = modified(filepath.Join(s.dir, logsFile))
	if raw, err := encode(fields); err == nil {
		s.echo.tell(logsKey, mask(raw))
	}
}
