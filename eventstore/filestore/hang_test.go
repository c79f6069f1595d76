package filestore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// backlog opens a store again whose n records are in its files only.
func backlog(t *testing.T, m *storetest.Medium, cfg filestore.Config, n int) *filestore.Store {
	t.Helper()
	s := openOn(t, m, cfg)
	fill(t, s, n)
	mustClose(t, s)
	return openOn(t, m, cfg)
}

func TestAHungReadBlocksNeitherContextNorAppend(t *testing.T) {
	m := new(storetest.Medium)
	s := backlog(t, m, filestore.Config{SegmentBytes: 4 << 10}, 100)
	release := m.HoldRead()
	defer release()
	for range 3 { // all of them wait for the same read
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := s.Peek(ctx, 0, nil, eventstore.Limit{})
			result <- err
		}()
		eventually(t, "a read is held", func() bool { return m.Waiting() == 1 })
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Peek: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("Peek waits although its context has ended")
		}
	}
	if n := m.Waiting(); n != 1 {
		t.Errorf("%d reads are held", n)
	}
	if off, err := s.Append(limited(t), payload(101)); err != nil || off != 101 {
		t.Errorf("Append: %d, %v", off, err)
	}
	mustSync(t, s, 101)
	release()
	var recs []eventstore.Record
	for after := uint64(0); after < 101; after = recs[len(recs)-1].Offset {
		var err error
		if recs, err = s.Peek(limited(t), after, recs[:0], eventstore.Limit{}); err != nil || recs[0].Offset != after+1 {
			t.Fatalf("Peek after %d: %v", after, err)
		}
	}
}

func TestAHungMediumDelaysCloseForItsTimeOutOnly(t *testing.T) {
	for name, hold := range map[string]func(*storetest.Medium) func(){
		"Sync": (*storetest.Medium).HoldSync, "Read": (*storetest.Medium).HoldRead,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(storetest.Medium)
				s := backlog(t, m, filestore.Config{SegmentBytes: 4 << 10, CloseTimeout: 3 * time.Second}, 100)
				release := hold(m)
				defer release()
				peeked := make(chan error, 1)
				go func() {
					_, err := s.Peek(context.Background(), 0, nil, eventstore.Limit{})
					for err == nil {
						_, err = s.Peek(context.Background(), 101, nil, eventstore.Limit{})
					}
					peeked <- err
				}()
				appendOne(t, s, 101)
				time.Sleep(2 * time.Second)
				if n := m.Waiting(); n != 1 {
					t.Errorf("%d operations are held", n)
				}
				begun := time.Now()
				if err := s.Close(); !errors.Is(err, filestore.ErrHung) {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(begun); took != 3*time.Second {
					t.Errorf("Close took %v", took)
				}
				if err := <-peeked; !errors.Is(err, eventstore.ErrClosed) {
					t.Errorf("Peek: %v", err)
				}
				if _, err := m.OpenConfig(filestore.Config{}); err == nil {
					t.Error("the folder is free although the store still works in it")
				}
				release()
				synctest.Wait()
				s = openOn(t, m, filestore.Config{})
				offsets, _ := readAll(t, s, 0, eventstore.Limit{})
				expectRun(t, offsets, 1, 101)
			})
		})
	}
}

// appendOne appends the payload of one offset.
func appendOne(t *testing.T, s *filestore.Store, offset uint64) {
	t.Helper()
	if off, err := s.Append(t.Context(), payload(offset)); err != nil || off != offset {
		t.Fatalf("Append: %d, %v; want %d", off, err, offset)
	}
}

func TestAReaderThatKeepsUpTouchesNoFile(t *testing.T) {
	m := new(storetest.Medium)
	s := openOn(t, m, filestore.Config{SegmentBytes: 4 << 10, SyncInterval: time.Hour})
	mustSync(t, s, fill(t, s, 1))
	before := m.Reads()
	for after := uint64(1); after < 2000; {
		last := fill(t, s, 50)
		mustSync(t, s, last)
		for after < last {
			recs, err := s.Peek(limited(t), after, nil, eventstore.Limit{Records: 20})
			if err != nil {
				t.Fatal(err)
			}
			after = recs[len(recs)-1].Offset
		}
		if after > 500 {
			if err := s.Ack(t.Context(), after-500); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := m.Reads() - before; n != 0 {
		t.Errorf("%d reads of the medium", n)
	}
}
