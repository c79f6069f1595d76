package logging

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// attempts is how often a publication is tried.
const attempts = 3

// Run sends records by p until ctx is done, and returns nil. What waits then is
// not sent. Records that come before Run wait for it. It is to be called once at
// a time.
func (r *Remote) Run(ctx context.Context, p Publisher) error {
	for {
		batch := r.take()
		if len(batch) == 0 {
			select {
			case <-r.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if !r.send(ctx, p, batch) {
			return nil
		}
		// Even with a platform that takes everything at once this is the rate.
		pause := time.Duration(float64(len(batch)) / r.cfg.Rate * float64(time.Second))
		if backoff.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// take removes from the queue what goes into one publication.
func (r *Remote) take() []remoteRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < min(len(r.queue), r.cfg.Batch) {
		size += r.queue[n].size()
		if n > 0 && size > r.cfg.BatchBytes {
			break
		}
		n++
	}
	batch := append([]remoteRecord(nil), r.queue[:n]...)
	r.queue = append(r.queue[:0], r.queue[n:]...)
	if n > 0 && r.lost > 0 {
		batch = append(batch, r.lostRecord())
	}
	return batch
}

// lostRecord tells how many records were lost.
func (r *Remote) lostRecord() remoteRecord {
	rec := slog.NewRecord(time.Now(), slog.LevelWarn, "log records were lost, too many came at once", 0)
	line := appendLine(nil, Part(PartService), rec, fmt.Sprintf(" records=%d", r.lost))
	r.lost = 0
	return remoteRecord{r.stampFor(rec.Time), remoteKey(Part(PartService)), string(line)}
}

// size returns about how many bytes the record has in a publication, in which it
// is there twice.
func (e *remoteRecord) size() int {
	const frame = len(`{"ts":1700000000000,"values":{"":}},`)
	line := len(telemetry.AppendString(nil, e.line))
	return 2*(frame+line) + len(e.key) + len("LOGS")
}

// send publishes a batch, and gives it up after some attempts. It returns false
// if ctx is done.
func (r *Remote) send(ctx context.Context, p Publisher, batch []remoteRecord) bool {
	points := make([]telemetry.Point, 0, 2*len(batch))
	for _, e := range batch {
		line := telemetry.String(e.line)
		points = append(points, telemetry.Point{Key: e.key, Value: line, TS: e.ts}, telemetry.Point{Key: "LOGS", Value: line, TS: e.ts})
	}
	var delay backoff.Backoff
	for range attempts {
		err := r.publish(ctx, p, points)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			r.mu.Lock()
			r.stats.Sent += uint64(len(batch))
			r.mu.Unlock()
			return true
		}
		if delay.Wait(ctx) != nil {
			return false
		}
	}
	r.mu.Lock()
	r.drop(len(batch))
	r.mu.Unlock()
	return true
}

func (r *Remote) publish(ctx context.Context, p Publisher, points []telemetry.Point) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	r.setPublishing(time.Now())
	defer r.setPublishing(time.Time{})
	return p.PublishOwn(ctx, points, nil)
}

func (r *Remote) setPublishing(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publishing = since
}
