package tbconfig

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
)

// defaultFolder is where the original keeps its data if the file does not say.
const defaultFolder = "./data/"

// The original's limits of a database in MB, and of the number of databases.
const (
	defaultSizeLimit = 1024
	defaultDatabases = 10
)

// open opens the event store that s describes.
func (s Storage) open(log *slog.Logger) (eventstore.EventStore, error) {
	open, err := s.opener(log)
	if err != nil {
		return nil, err
	}
	return open()
}

// opener returns what opens the event store that s describes.
func (s Storage) opener(log *slog.Logger) (func() (eventstore.EventStore, error), error) {
	overflow, err := s.overflow()
	if err != nil {
		return nil, err
	}
	for key, n := range map[string]int64{
		"max_records_count": int64(s.MaxRecords), "max_bytes": s.MaxBytes, "messages_ttl_in_days": int64(s.MaxAgeDays),
		"size_limit": int64(s.SizeLimit), "max_db_amount": int64(s.MaxDatabases), "sync_interval_ms": int64(s.SyncInterval),
	} {
		if n < 0 {
			return nil, fmt.Errorf("storage.%s: %d is negative", key, n)
		}
	}
	switch lower(s.Type) {
	case "memory":
		cfg := memstore.Config{MaxRecords: s.MaxRecords, MaxBytes: s.MaxBytes, Overflow: overflow, Logger: log}
		return func() (eventstore.EventStore, error) {
			if s.Snapshot != "" {
				return memstore.Open(s.Snapshot, cfg)
			}
			return memstore.New(cfg), nil
		}, nil
	case "file", "sqlite":
		cfg := s.files()
		cfg.Overflow, cfg.Logger = overflow, log
		if err := s.tune(&cfg); err != nil {
			return nil, err
		}
		return func() (eventstore.EventStore, error) {
			if lower(s.Type) == "sqlite" {
				log.Warn("storage of the type sqlite is kept in segment files; an existing database is not read", "folder", cfg.Dir)
			}
			return filestore.Open(cfg)
		}, nil
	case "":
		return nil, errors.New("storage.type: is missing")
	default:
		return nil, fmt.Errorf("storage.type: %q is not memory, file or sqlite", s.Type)
	}
}

// files returns the configuration of a filestore. Files often have the keys of
// all types, so each type reads only its own.
func (s Storage) files() filestore.Config {
	cfg := filestore.Config{Dir: s.Folder, MaxBytes: s.MaxBytes}
	if lower(s.Type) == "sqlite" {
		cfg.Dir, cfg.MaxAge = s.DataPath, time.Duration(s.MaxAgeDays)*24*time.Hour
	}
	if lower(s.Type) == "sqlite" && cfg.MaxBytes == 0 && (s.SizeLimit > 0 || s.MaxDatabases > 0) {
		cfg.MaxBytes = int64(cmp.Or(s.SizeLimit, defaultSizeLimit)) * 1e6 * int64(cmp.Or(s.MaxDatabases, defaultDatabases))
	}
	if cfg.Dir == "" {
		cfg.Dir = defaultFolder
	}
	return cfg
}

// tune sets what the original has no keys for.
func (s Storage) tune(cfg *filestore.Config) error {
	switch lower(s.Durability) {
	case "", "always":
	case "interval":
		cfg.Durability = filestore.Interval
	case "none":
		cfg.Durability = filestore.None
	default:
		return fmt.Errorf("storage.durability: %q is not always, interval or none", s.Durability)
	}
	cfg.SyncInterval = time.Duration(s.SyncInterval) * time.Millisecond
	cfg.OldCodecs = []filestore.Codec{compress.S2{}} // so that it can be turned off
	switch lower(s.Compression) {
	case "", "none":
	case "s2":
		cfg.Codec = compress.S2{}
	default:
		return fmt.Errorf("storage.compression: %q is not s2 or none", s.Compression)
	}
	return nil
}

func (s Storage) overflow() (eventstore.Overflow, error) {
	switch lower(s.Overflow) {
	case "", "block":
		return eventstore.Block, nil
	case "drop_oldest":
		return eventstore.DropOldest, nil
	case "reject":
		return eventstore.Reject, nil
	default:
		return 0, fmt.Errorf("storage.overflow: %q is not block, drop_oldest or reject", s.Overflow)
	}
}
