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
	case "file":
		return s.openFiles(s.Folder, overflow, log)
	case "sqlite":
		log.Warn("storage of the type sqlite is kept in segment files; an existing database is not read", "folder", s.DataPath)
		return s.openFiles(s.DataPath, overflow, log)
	case "":
		return nil, errors.New("storage.type: is missing")
	default:
		return nil, fmt.Errorf("storage.type: %q is not memory, file or sqlite", s.Type)
	}
}

func (s Storage) openFiles(dir string, overflow eventstore.Overflow, log *slog.Logger) (eventstore.EventStore, error) {
	if dir == "" {
		dir = defaultFolder
	}
	return filestore.Open(filestore.Config{
		Dir:      dir,
		MaxBytes: s.MaxBytes,
		MaxAge:   time.Duration(s.MaxAgeDays) * 24 * time.Hour,
		Overflow: overflow,
		Logger:   log,
	})
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
