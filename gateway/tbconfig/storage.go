package tbconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
)

// defaultFolder is where the original keeps its data if the file does not say.
const defaultFolder = "./data/"

// open opens the event store that s describes.
func (s Storage) open(log *slog.Logger) (eventstore.EventStore, error) {
	overflow, err := s.overflow()
	if err != nil {
		return nil, err
	}
	for key, n := range map[string]int64{"max_records_count": int64(s.MaxRecords), "max_bytes": s.MaxBytes, "messages_ttl_in_days": int64(s.MaxAgeDays)} {
		if n < 0 {
			return nil, fmt.Errorf("storage.%s: %d is negative", key, n)
		}
	}
	switch lower(s.Type) {
	case "memory":
		return memstore.New(memstore.Config{MaxRecords: s.MaxRecords, MaxBytes: s.MaxBytes, Overflow: overflow}), nil
	case "file", "sqlite":
		cfg := s.files()
		cfg.Overflow, cfg.Logger = overflow, log
		if lower(s.Type) == "sqlite" {
			log.Warn("storage of the type sqlite is kept in segment files; an existing database is not read", "folder", cfg.Dir)
		}
		return filestore.Open(cfg)
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
	if cfg.Dir == "" {
		cfg.Dir = defaultFolder
	}
	return cfg
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
