package storetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
)

// A model is what a store has to be: the records from first to last, of which
// those up to synced survive a crash.
type model struct {
	first, last, synced uint64
	markers             []uint64 // offsets of records that are empty
}

// sized returns the record of an offset. Most are small.
func sized(i uint64) []byte {
	n := i * 7919 % 300
	if i%97 == 0 {
		n *= 200
	}
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i>>(j%8*8)) ^ byte(j)
	}
	return b
}

// step does something at random to s and m, and checks that it is the same.
func (m *model) step(t *testing.T, s eventstore.EventStore, r *rand.Rand) {
	t.Helper()
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		for range 1 + r.IntN(20) {
			off, err := s.Append(limited(t), sized(m.last+1))
			if err != nil || off != m.last+1 {
				t.Fatalf("Append: %d, %v; want %d", off, err, m.last+1)
			}
			m.last++
		}
	case 4:
		upTo := uint64(r.Int64N(int64(m.last) + 2))
		mustSync(t, s, upTo)
		m.synced = max(m.synced, min(upTo, m.last))
	case 5:
		upTo := uint64(r.Int64N(int64(m.last) + 2))
		mustAck(t, s, upTo)
		m.first = max(m.first, min(upTo, m.last)+1)
	default:
		m.peek(t, s, r)
	}
	if st := s.Stats(); st.Pending != m.last+1-m.first || st.Dropped != 0 || st.Pending == 0 && st.Bytes != 0 {
		t.Fatalf("%+v with the records from %d to %d", st, m.first, m.last)
	}
}

// peek reads from somewhere, with some limit.
func (m *model) peek(t *testing.T, s eventstore.EventStore, r *rand.Rand) {
	t.Helper()
	after := uint64(r.Int64N(int64(m.last) + 1))
	from := max(after+1, m.first)
	if from > m.last {
		return
	}
	lim := eventstore.Limit{Records: r.IntN(30), Bytes: r.IntN(5000)}
	recs, err := s.Peek(limited(t), after, nil, lim)
	if err != nil || len(recs) == 0 {
		t.Fatalf("Peek after %d: %d records, %v; there are %d to %d", after, len(recs), err, m.first, m.last)
	}
	if lim.Records > 0 && len(recs) > lim.Records {
		t.Fatalf("Peek returned %d records, the limit is %d", len(recs), lim.Records)
	}
	size := 0
	for _, rec := range recs {
		size += len(rec.Data)
	}
	if lim.Bytes > 0 && size > lim.Bytes && len(recs) > 1 {
		t.Fatalf("Peek returned %d records of %d bytes, the limit is %d", len(recs), size, lim.Bytes)
	}
	expect(t, recs, from, len(recs), sized)
}

func randomOperations(t *testing.T, h Harness, open opener) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		s := closeAtEnd(t, open(t, dir))
		m := model{first: 1}
		for i := range 300 {
			m.step(t, s, r)
			if h.Durable && i%60 == 59 {
				s = reopen(t, s, dir, open)
			}
		}
		if m.last >= m.first {
			expect(t, read(t, s, 0, m.last, eventstore.Limit{}), m.first, int(m.last+1-m.first), sized)
		}
	}
}

func randomCrashes(t *testing.T, h Harness, open opener) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		m := model{first: 1}
		for range 8 {
			s := closeAtEnd(t, open(t, dir))
			m.recover(t, s)
			for range 40 {
				m.step(t, s, r)
			}
			h.Crash(t, s)
		}
	}
}

// recover finds out what a crash has left, which may be more than it had to, and
// checks that it is no less. It appends an empty record, a marker.
func (m *model) recover(t *testing.T, s eventstore.EventStore) {
	t.Helper()
	marker, err := s.Append(limited(t), nil)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	recs := read(t, s, 0, marker, eventstore.Limit{})
	if first := recs[0].Offset; first > m.first {
		t.Fatalf("the first record is %d, but %d was not acknowledged", first, m.first)
	}
	if m.first <= m.synced && marker <= m.synced || marker > m.last+1 {
		t.Fatalf("the next offset is %d; %d were appended, %d synced", marker, m.last, m.synced)
	}
	m.markers = append(m.markers, marker)
	expect(t, recs, recs[0].Offset, len(recs), func(i uint64) []byte {
		if slices.Contains(m.markers, i) {
			return nil
		}
		return sized(i)
	})
	mustSync(t, s, marker)
	mustAck(t, s, marker)
	m.first, m.last, m.synced = marker+1, marker, marker
}

func beyondTheLast(t *testing.T, _ Harness, open opener) {
	s := fresh(t, open)
	mustSync(t, s, math.MaxUint64)
	mustAck(t, s, math.MaxUint64)
	fill(t, s, 5, record)
	nothingAfter(t, s, math.MaxUint64)
	mustSync(t, s, math.MaxUint64)
	expect(t, read(t, s, 0, 5, eventstore.Limit{}), 1, 5, record)
	mustAck(t, s, math.MaxUint64)
	nothingAfter(t, s, 0)
	if off, err := s.Append(limited(t), record(6)); err != nil || off != 6 {
		t.Fatalf("Append: %d, %v", off, err)
	}
	expect(t, read(t, s, 0, 6, eventstore.Limit{}), 6, 1, record)
}

func togetherLoseNothing(t *testing.T, _ Harness, open opener) {
	const writers, each = 4, 1000
	s := fresh(t, open)
	ctx := limited(t)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				off, err := s.Append(ctx, []byte{byte(w), byte(i), byte(i >> 8)})
				if err == nil && i%50 == 0 {
					err = s.Sync(ctx, off)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				_ = s.Stats()
			}
		})
	}
	var next [writers]int
	for after := uint64(0); after < writers*each; {
		recs, err := s.Peek(ctx, after, nil, eventstore.Limit{Records: 64})
		if err != nil {
			t.Fatalf("Peek after %d: %v", after, err)
		}
		for _, r := range recs {
			after++
			w, i := int(r.Data[0]), int(r.Data[1])|int(r.Data[2])<<8
			if r.Offset != after || i != next[w] {
				t.Fatalf("the record %d is %d: number %d of writer %d, want %d", after, r.Offset, i, w, next[w])
			}
			next[w]++
		}
		mustAck(t, s, after-min(after, 10))
	}
	wg.Wait()
}

func closeDuringEverything(t *testing.T, _ Harness, open opener) {
	for range 5 {
		s := fresh(t, open)
		ctx := limited(t)
		begun := make(chan struct{}, 4)
		var wg sync.WaitGroup
		call := func(name string, f func() error) {
			wg.Go(func() {
				for n := 0; ; n++ {
					if n == 10 {
						begun <- struct{}{}
					}
					if err := f(); errors.Is(err, eventstore.ErrClosed) {
						if n < 10 {
							begun <- struct{}{}
						}
						return
					} else if err != nil {
						t.Errorf("%s: %v, want nil or ErrClosed", name, err)
						return
					}
				}
			})
		}
		fill(t, s, 100, record)
		call("Append", func() error { _, err := s.Append(ctx, []byte("x")); return err })
		call("Sync", func() error { return s.Sync(ctx, s.Stats().Appended) })
		call("Peek and Ack", func() error {
			recs, err := s.Peek(ctx, 0, nil, eventstore.Limit{Records: 3})
			if err != nil {
				return err
			}
			return s.Ack(ctx, recs[len(recs)-1].Offset)
		})
		for range 3 {
			select {
			case <-begun:
			case <-ctx.Done():
				t.Fatal("the calls do not return")
			}
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		wg.Wait()
	}
}
