package bench

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the driver
)

// A sqliteLog appends records to a table. Those that gather during one
// transaction share the next, as in the stores that it is compared with.
type sqliteLog struct {
	db      *sql.DB
	writing sync.Mutex

	mu            sync.Mutex
	fresh         [][]byte
	next, durable uint64
}

func openSQLite(b *testing.B) *sqliteLog {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	check(b, err)
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { check(b, db.Close()) })
	_, err = db.Exec("create table records (offset integer primary key, data blob not null)")
	check(b, err)
	return &sqliteLog{db: db}
}

// Append implements appender.
func (l *sqliteLog) Append(_ context.Context, rec []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.fresh = append(l.fresh, rec)
	return l.next, nil
}

// Sync implements appender.
func (l *sqliteLog) Sync(ctx context.Context, upTo uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	fresh, first, durable := l.fresh, l.durable+1, l.durable
	if durable < upTo {
		l.fresh = nil
	}
	l.mu.Unlock()
	if durable >= upTo {
		return nil
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for i, rec := range fresh {
		if _, err := tx.ExecContext(ctx, "insert into records values (?, ?)", first+uint64(i), rec); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable += uint64(len(fresh))
	return nil
}
