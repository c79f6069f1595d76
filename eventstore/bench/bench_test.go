package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/examples/boltstore"
)

const (
	recordBytes = 200
	storedBytes = recordBytes + 12 // with its header in a segment
	rounds      = 5                // in which both sides take turns
)

// some are records that were made before anything is measured.
var some = func() (recs [1024][]byte) {
	for i := range recs {
		recs[i] = record(i)
	}
	return recs
}()

// record returns what telemetry looks like: names and digits.
func record(i int) []byte {
	b := fmt.Appendf(make([]byte, 0, recordBytes), "meter-%d voltage_l1=%d.%d current_l1=%d.%03d ", i%17, 220+i%20, i%10, i%7, i*31%1000)
	for n := 0; len(b) < recordBytes; n++ {
		b = append(b, "energy_total_kwh"[n%16])
	}
	return b[:recordBytes]
}

// A rate measures how fast something is done.
type rate struct {
	n    int
	took time.Duration
}

func (r *rate) measure(n int, f func()) {
	begun := time.Now()
	f()
	r.took += time.Since(begun)
	r.n += n
}

func (r *rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func openStore(b *testing.B, cfg filestore.Config) *filestore.Store {
	b.Helper()
	cfg.Dir, cfg.Logger, cfg.MaxBytes = b.TempDir(), slog.New(slog.DiscardHandler), 4<<30
	s, err := filestore.Open(cfg)
	check(b, err)
	b.Cleanup(func() { check(b, s.Close()) })
	return s
}

func openBolt(b *testing.B) *boltstore.Store {
	b.Helper()
	s, err := boltstore.Open(boltstore.Config{Path: filepath.Join(b.TempDir(), "db"), MaxRecords: 1 << 30})
	check(b, err)
	b.Cleanup(func() { check(b, s.Close()) })
	return s
}

// durably appends n records from several goroutines that wait for each.
func durably(b *testing.B, s appender, waiters, n int) {
	b.Helper()
	ctx := context.Background()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				off, err := s.Append(ctx, some[int(i)%len(some)])
				if err == nil {
					err = s.Sync(ctx, off)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// An appender is the part of an eventstore.EventStore that writes.
type appender interface {
	Append(ctx context.Context, rec []byte) (uint64, error)
	Sync(ctx context.Context, upTo uint64) error
}

func create(b *testing.B) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	check(b, err)
	b.Cleanup(func() { check(b, f.Close()) })
	return f
}

// BenchmarkDurable compares records that are waited for with the rate at which
// the disk does fdatasync(2) after a write(2) of the same size: at the end of a
// file, which grows, and in a file that was written before.
func BenchmarkDurable(b *testing.B) {
	for _, waiters := range []int{1, 16, 128} {
		for name, cfg := range map[string]filestore.Config{"Plain": {}, "Packed": packed()} {
			b.Run(fmt.Sprintf("%s/Waiters%d", name, waiters), func(b *testing.B) {
				for range b.N {
					s, raw := openStore(b, cfg), create(b)
					var ours, disk, flat rate
					buf := make([]byte, storedBytes)
					const ops = 100
					zeroed := create(b)
					writeAll(b, zeroed, 64<<10, 1+5*rounds*ops*storedBytes/(64<<10))
					check(b, zeroed.Sync())
					_, err := zeroed.Seek(0, io.SeekStart)
					check(b, err)
					for range 5 * rounds {
						disk.measure(ops, func() {
							check(b, forceEach(raw, buf, ops))
						})
						flat.measure(ops, func() {
							check(b, forceEach(zeroed, buf, ops))
						})
						n := ops * min(waiters*waiters, 200)
						ours.measure(n, func() { durably(b, s, waiters, n) })
					}
					b.ReportMetric(ours.perSecond(), "records/s")
					b.ReportMetric(disk.perSecond(), "fdatasyncs/s")
					b.ReportMetric(ours.perSecond()/disk.perSecond(), "x-raw")
					b.ReportMetric(ours.perSecond()/flat.perSecond(), "x-raw-in-place")
				}
			})
		}
	}
}

// forceEach writes b n times and forces each to the disk.
func forceEach(f *os.File, b []byte, n int) error {
	for range n {
		if _, err := f.Write(b); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
	}
	return nil
}

func packed() filestore.Config {
	return filestore.Config{Key: filestore.Key{ID: "k", Secret: make([]byte, 32)}, Codec: compress.S2{}}
}

// BenchmarkSequential compares records that nobody waits for, at the level
// Interval, with write(2) of the same bytes: one call for each record, which is
// what it takes to survive a kill, and one for 64 KiB.
func BenchmarkSequential(b *testing.B) {
	const n = 200_000
	for name, cfg := range map[string]filestore.Config{"Plain": {}, "Packed": packed()} {
		b.Run(name, func(b *testing.B) {
			ctx, rec := context.Background(), record(1)
			for range b.N {
				cfg.Durability = filestore.Interval
				s, single, blocks := openStore(b, cfg), create(b), create(b)
				var ours, each, block rate
				for range rounds {
					ours.measure(n, func() {
						var off uint64
						var err error
						for range n {
							if off, err = s.Append(ctx, rec); err != nil {
								break
							}
						}
						check(b, errors.Join(err, s.Sync(ctx, off)))
					})
					each.measure(n, func() { writeAll(b, single, storedBytes, n) })
					block.measure(n, func() { writeAll(b, blocks, 64<<10, n*storedBytes/(64<<10)) })
				}
				b.ReportMetric(ours.perSecond()*storedBytes/1e6, "MB/s")
				b.ReportMetric(ours.perSecond()/each.perSecond(), "x-raw")
				b.ReportMetric(ours.perSecond()/block.perSecond(), "x-raw-64KiB")
			}
		})
	}
}

func writeAll(b *testing.B, f *os.File, size, n int) {
	b.Helper()
	buf := make([]byte, size)
	var err error
	for i := 0; i < n && err == nil; i++ {
		_, err = f.Write(buf)
	}
	check(b, err)
}

// BenchmarkRead compares reading a backlog with read(2) of the same bytes, 64 KiB
// at a time.
func BenchmarkRead(b *testing.B) {
	const n = 300_000
	for name, cfg := range map[string]filestore.Config{"Plain": {}, "Packed": packed()} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				s, raw := openStore(b, cfg), create(b)
				writeAll(b, raw, storedBytes, n)
				fill(b, s, n)
				var ours, disk rate
				var recs []eventstore.Record
				buf := make([]byte, 64<<10)
				for range rounds {
					ours.measure(n, func() {
						for after := uint64(0); after < n; after = recs[len(recs)-1].Offset {
							var err error
							recs, err = s.Peek(context.Background(), after, recs[:0], eventstore.Limit{Records: 500})
							check(b, err)
						}
					})
					disk.measure(n, func() { readAll(b, raw, buf) })
				}
				b.ReportMetric(ours.perSecond()*storedBytes/1e6, "MB/s")
				b.ReportMetric(ours.perSecond()/disk.perSecond(), "x-raw")
			}
		})
	}
}

func fill(b *testing.B, s appender, n int) {
	b.Helper()
	var off uint64
	for i := range n {
		var err error
		off, err = s.Append(context.Background(), record(i))
		check(b, err)
	}
	check(b, s.Sync(context.Background(), off))
}

func readAll(b *testing.B, f *os.File, buf []byte) {
	b.Helper()
	_, err := f.Seek(0, io.SeekStart)
	for err == nil {
		_, err = f.Read(buf)
	}
	if err != io.EOF { //nolint:errorlint // Read returns it as it is
		b.Fatal(err)
	}
}

// BenchmarkDatabases compares records that are waited for with databases that do
// the same, all of them with group commit.
func BenchmarkDatabases(b *testing.B) {
	for _, waiters := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("Waiters%d", waiters), func(b *testing.B) {
			for range b.N {
				file, bolt, sqlite := openStore(b, filestore.Config{}), openBolt(b), openSQLite(b)
				var ours, bbolt, lite rate
				n := 200 * waiters
				for range rounds {
					ours.measure(n, func() { durably(b, file, waiters, n) })
					bbolt.measure(n, func() { durably(b, bolt, waiters, n) })
					lite.measure(n, func() { durably(b, sqlite, waiters, n) })
				}
				b.ReportMetric(ours.perSecond(), "records/s")
				b.ReportMetric(ours.perSecond()/bbolt.perSecond(), "x-bbolt")
				b.ReportMetric(ours.perSecond()/lite.perSecond(), "x-sqlite")
			}
		})
	}
}
