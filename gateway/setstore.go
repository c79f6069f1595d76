package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// Bounds of a move from one store to another.
const (
	moveRecords  = 1024
	moveBytes    = 4 << 20
	movePatience = 10 * time.Second // for the stores, without a record
	moveReport   = 5 * time.Second  // between two reports of the progress
)

// SetStore moves what is stored and not acknowledged into s, in order, and uses
// s from then on. While it works, Submit blocks and nothing is published. After
// an error the store before stays in use and has lost nothing; if s was empty,
// what it was given is released again.
//
// It returns the store before, which the caller closes; but one that the
// gateway owned (see [WithOwnedStore]) is closed already, and the gateway owns s
// in its place.
func (g *Gateway) SetStore(ctx context.Context, s eventstore.EventStore) (old eventstore.EventStore, err error) {
	if s == nil {
		return nil, errors.New("gateway: set store: there is no store")
	}
	ctx, done, err := g.change(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before := g.depot.current()
	if before.store == s {
		return nil, errors.New("gateway: set store: it is in use already")
	}
	next := newStock(s, before.owned)
	if err := g.exchange(ctx, before, next); err != nil {
		return nil, fmt.Errorf("gateway: set store: %w", err)
	}
	if before.owned {
		if err := before.store.Close(); err != nil {
			g.log.Warn("store that is not used any more was not closed properly", "error", err)
		}
	}
	return before.store, nil
}

// exchange puts next in the place of before.
func (g *Gateway) exchange(ctx context.Context, before, next *stock) (err error) {
	after := before
	err = g.depot.close(ctx)
	defer func() { g.depot.open(after) }()
	if err != nil {
		return fmt.Errorf("a store operation does not end: %w", err)
	}
	resume, err := g.publisher.pause(ctx)
	if err != nil {
		return err
	}
	defer func() { resume(after.store, g.north.Load().Platform) }()
	m := move{from: before.store, to: next.store, log: g.log}
	if err := m.run(ctx); err != nil {
		return err
	}
	before.moved.Store(true)
	after = next
	if err := before.store.Ack(ctx, m.seen); err != nil {
		g.log.Warn("store that is not used any more still holds what was moved", "error", err)
	}
	return nil
}

// A move copies the records of a store that nobody else uses into another.
type move struct {
	from, to eventstore.EventStore
	log      *slog.Logger

	seen    uint64 // offset of the last record read
	written uint64 // offset of the last record in to
	moved   uint64
}

// run copies everything and waits until it is durable.
func (m *move) run(ctx context.Context) error {
	fresh := m.to.Stats().Pending == 0
	err := m.copy(ctx)
	if err == nil && m.moved > 0 {
		err = m.to.Sync(ctx, m.written)
	}
	if err == nil {
		if m.moved > 0 {
			m.log.Info("store is replaced", "moved", m.moved)
		}
		return nil
	}
	if fresh && m.written > 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), movePatience)
		defer cancel()
		if released := m.to.Ack(ctx, m.written); released != nil {
			err = errors.Join(err, released)
		}
	}
	return fmt.Errorf("after %d records: %w", m.moved, err)
}

func (m *move) copy(ctx context.Context) error {
	begin := m.from.Stats()
	dropped := m.to.Stats().Dropped
	next := time.Now().Add(moveReport)
	var records []eventstore.Record
	for {
		lost := m.from.Stats().Dropped - begin.Dropped
		left := int64(begin.Pending) - int64(lost) - int64(m.moved)
		if left <= 0 && lost == 0 {
			return nil
		}
		var err error
		if records, err = m.read(ctx, records[:0]); err != nil {
			return err
		}
		if len(records) == 0 {
			if left > 0 {
				return fmt.Errorf("the store in use has %d more records and does not hand them out", left)
			}
			return nil
		}
		if err := m.write(ctx, records); err != nil {
			return err
		}
		if n := m.to.Stats().Dropped - dropped; n > 0 {
			return errors.New("the new store has no room for what is stored")
		}
		if now := time.Now(); now.After(next) {
			m.log.Info("stored records are moved to another store", "moved", m.moved, "left", max(left, 0))
			next = now.Add(moveReport)
		}
	}
}

// read returns the records that follow, or none if none come.
func (m *move) read(ctx context.Context, dst []eventstore.Record) ([]eventstore.Record, error) {
	limited, cancel := context.WithTimeout(ctx, movePatience)
	defer cancel()
	records, err := m.from.Peek(limited, m.seen, dst, eventstore.Limit{Records: moveRecords, Bytes: moveBytes})
	switch {
	case err == nil:
		m.seen = records[len(records)-1].Offset
		return records, nil
	case limited.Err() != nil && ctx.Err() == nil:
		return nil, nil
	default:
		return nil, fmt.Errorf("read: %w", err)
	}
}

func (m *move) write(ctx context.Context, records []eventstore.Record) error {
	limited, cancel := context.WithTimeout(ctx, movePatience)
	defer cancel()
	for _, r := range records {
		offset, err := m.to.Append(limited, r.Data)
		if err != nil {
			if limited.Err() != nil && ctx.Err() == nil {
				err = errors.Join(errors.New("the new store has no room for what is stored"), err)
			}
			return err
		}
		m.written = offset
		m.moved++
	}
	return nil
}
