package tbconfig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/gateway/logging"
)

// movingSuffix is appended to the folder of a store for the one that holds the
// records while the settings of the store change.
const movingSuffix = ".moving"

// applyStorage puts another event store in the place of the present one, and moves
// what is stored. s.mu is held.
func (s *Service) applyStorage(ctx context.Context, next Storage) (steps, error) {
	before := s.file.Storage
	if next == before {
		return nil, nil
	}
	if _, err := next.opener(s.log); err != nil {
		return nil, err
	}
	if err := s.moveStore(ctx, before, next); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	s.file.Storage = next
	return steps{func() {
		if err := s.moveStore(ctx, next, before); err != nil {
			s.log.Error("the storage that was in use could not be restored", "error", err)
			return
		}
		s.file.Storage = before
	}}, nil
}

// moveStore moves what is stored from the store that before describes to the one
// that next describes. Two stores cannot share a place, so there the records pass
// through a third one.
func (s *Service) moveStore(ctx context.Context, before, next Storage) error {
	open := func() (eventstore.EventStore, error) { return next.open(s.part(logging.PartStorage)) }
	if before.at() != next.at() || next.at() == "" {
		return s.useStore(ctx, open)
	}
	if err := s.useStore(ctx, before.between); err != nil {
		return err
	}
	err := s.useStore(ctx, open)
	if err != nil {
		back := s.useStore(ctx, func() (eventstore.EventStore, error) { return before.open(s.part(logging.PartStorage)) })
		if back != nil {
			return errors.Join(err, fmt.Errorf("the store before cannot be opened again, %s is used: %w", before.at()+movingSuffix, back))
		}
	}
	return errors.Join(err, before.removeBetween())
}

// useStore makes the gateway use the store that open opens.
func (s *Service) useStore(ctx context.Context, open func() (eventstore.EventStore, error)) error {
	st, err := open()
	if err != nil {
		return err
	}
	if _, err := s.manager.SetStore(ctx, st); err != nil {
		return errors.Join(err, st.Close())
	}
	return nil
}

// at returns the folder or file that the store is in; empty for one that is in
// memory only.
func (s Storage) at() string {
	at := s.Snapshot
	if s.inFiles() {
		at = s.files().Dir
	}
	if at == "" {
		return ""
	}
	if abs, err := filepath.Abs(at); err == nil {
		return abs
	}
	return filepath.Clean(at)
}

func (s Storage) inFiles() bool { return lower(s.Type) != "memory" }

// between opens the store that holds the records while the settings of s change.
func (s Storage) between() (eventstore.EventStore, error) {
	if !s.inFiles() {
		return memstore.New(memstore.Config{MaxRecords: s.MaxRecords, MaxBytes: s.MaxBytes}), nil
	}
	cfg := s.files()
	cfg.Dir = s.at() + movingSuffix
	return filestore.Open(cfg)
}

func (s Storage) removeBetween() error {
	if !s.inFiles() {
		return nil
	}
	return os.RemoveAll(s.at() + movingSuffix)
}

// recoverBetween moves into st what is left of a change of the settings that was
// cut short.
func (s Storage) recoverBetween(ctx context.Context, st eventstore.EventStore, log *slog.Logger) error {
	if !s.inFiles() || !exists(s.at()+movingSuffix) {
		return nil
	}
	left, err := s.between()
	if err != nil {
		return err
	}
	n, err := drain(ctx, left, st)
	if err = errors.Join(err, left.Close()); err != nil {
		return fmt.Errorf("storage: records in %s: %w", s.at()+movingSuffix, err)
	}
	log.Info("records of a change of the storage that was cut short are stored", "records", n)
	return s.removeBetween()
}

// drain moves all records of a store into another, durably, and returns how many
// there were.
func drain(ctx context.Context, from, to eventstore.EventStore) (n int, err error) {
	var after, last uint64
	var records []eventstore.Record
	for from.Stats().Pending > 0 {
		if records, err = from.Peek(ctx, after, records[:0], eventstore.Limit{Records: 1000, Bytes: 1 << 20}); err != nil {
			return n, err
		}
		for _, r := range records {
			if last, err = to.Append(ctx, r.Data); err != nil {
				return n, err
			}
			after = r.Offset
		}
		if err = to.Sync(ctx, last); err != nil {
			return n, err
		}
		n += len(records)
		if err = from.Ack(ctx, after); err != nil {
			return n, err
		}
	}
	return n, nil
}
