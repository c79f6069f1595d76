package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Publisher publishes data of the gateway's own device and returns when the
// platform has it. *tbclient.Client is one.
type Publisher interface {
	PublishOwn(ctx context.Context, points, attributes []telemetry.Point) error
}

// RemoteConfig configures NewRemote. Its zero value works.
type RemoteConfig struct {
	Records    int           // that may wait; zero: 1000
	MaxRecord  int           // bytes of one record, of which a longer one keeps the beginning; zero: 2048
	Batch      int           // records in one publication; zero: 20
	BatchBytes int           // of one publication; zero: 8192
	Rate       float64       // records a second, in the long run; zero: 10
	Timeout    time.Duration // of one publication, the wait for a connection included; zero: one minute
}

// A Remote sends log records as telemetry of the gateway's own device: to the
// keys that the platform's dashboards read, which are SERVICE_LOGS,
// CONNECTION_LOGS, STORAGE_LOGS and EXTENSION_LOGS for the parts of the gateway,
// NAME_LOGS for a connector, and LOGS for all.
//
// It is not in the way of who logs: a record is put into a queue, and is lost,
// and counted, if the queue is full. Its methods may be called concurrently.
type Remote struct {
	cfg    RemoteConfig
	levels Levels

	mu         sync.Mutex
	queue      []remoteRecord
	lost       uint64 // since the platform was told
	stats      RemoteStats
	last       int64     // time stamp of the latest record
	publishing time.Time // since when a publication is under way; zero: none is
	wake       chan struct{}
}

// RemoteStats counts what a Remote has done.
type RemoteStats struct {
	Waiting   int    // records
	Sent      uint64 // records
	Dropped   uint64 // records that were not sent because the queue was full or the platform did not take them
	Truncated uint64 // records that were longer than RemoteConfig.MaxRecord
	Muted     uint64 // records of the connection about sending records, which were not sent
}

// A remoteRecord waits to be sent.
type remoteRecord struct {
	ts   int64
	key  string
	line string
}

// NewRemote returns a Remote that sends nothing until Levels says which records
// and Run runs.
func NewRemote(cfg RemoteConfig) *Remote {
	setDefault(&cfg.Records, 1000)
	setDefault(&cfg.MaxRecord, 2048)
	setDefault(&cfg.Batch, 20)
	setDefault(&cfg.BatchBytes, 8192)
	setDefault(&cfg.Rate, 10)
	setDefault(&cfg.Timeout, time.Minute)
	r := &Remote{cfg: cfg, wake: make(chan struct{}, 1)}
	r.levels.SetAll(LevelNone, nil)
	return r
}

func setDefault[T int | float64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Levels says which records are sent, by their source. It is LevelNone for all
// at first.
func (r *Remote) Levels() *Levels { return &r.levels }

// SetGatewayLevel sets the level of the gateway's parts as the shared attribute
// RemoteLoggingLevel means it. The levels of connectors stay.
func (r *Remote) SetGatewayLevel(level slog.Level) {
	for _, part := range []string{PartService, PartConnection, PartStorage, PartExtension} {
		r.levels.Set(Part(part), level)
	}
}

// Stats returns what r has done.
func (r *Remote) Stats() RemoteStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Waiting = len(r.queue)
	return s
}

// Handler returns the handler whose records are sent.
func (r *Remote) Handler() slog.Handler {
	return &lines{
		enabled: r.levels.mayPass,
		emit: func(s Source, rec slog.Record, attrs string) error {
			if rec.Level >= r.levels.Level(s) {
				r.enqueue(s, rec, attrs)
			}
			return nil
		},
	}
}

// feedback is how long after the beginning of a publication a record of the
// connection is taken to be about it. A publication that takes longer waits for
// a connection, and what is logged then is about that.
const feedback = time.Second

func (r *Remote) enqueue(s Source, rec slog.Record, attrs string) {
	line := string(appendLine(nil, s, rec, attrs))
	r.mu.Lock()
	defer r.mu.Unlock()
	if s == Part(PartConnection) && !r.publishing.IsZero() && time.Since(r.publishing) < feedback {
		r.stats.Muted++
		return
	}
	if len(line) > r.cfg.MaxRecord {
		r.stats.Truncated++
		line = truncate(line, r.cfg.MaxRecord)
	}
	if len(r.queue) >= r.cfg.Records {
		r.drop(1)
		return
	}
	r.queue = append(r.queue, remoteRecord{r.stampFor(rec.Time), remoteKey(s), line})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// drop counts records that are lost.
func (r *Remote) drop(n int) {
	r.stats.Dropped += uint64(n)
	r.lost += uint64(n)
}

// stampFor returns the time stamp of a record. The platform keeps one value for
// a key and a millisecond, so each record has one of its own.
func (r *Remote) stampFor(t time.Time) int64 {
	r.last = max(r.last+1, t.UnixMilli())
	return r.last
}

// cut stands at the end of a line that was too long.
const cut = "..."

func truncate(line string, size int) string {
	end := max(0, size-len(cut))
	for end > 0 && !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + cut
}

func remoteKey(s Source) string {
	if !s.Connector {
		switch s.Name {
		case PartService:
			return "SERVICE_LOGS"
		case PartConnection:
			return "CONNECTION_LOGS"
		case PartStorage:
			return "STORAGE_LOGS"
		case PartExtension:
			return "EXTENSION_LOGS"
		}
	}
	return s.Name + "_LOGS"
}
