package storetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

func add(t *testing.T, s eventstore.EventStore, n int) (last uint64) {
	t.Helper()
	for range n {
		off, err := s.Append(t.Context(), []byte("record"))
		if err != nil {
			t.Fatal(err)
		}
		last = off
	}
	return last
}

func TestCrashForgetsExactlyWhatWasNotSynced(t *testing.T) {
	m := new(storetest.Medium)
	for round := range uint64(3) {
		s := m.Open()
		if p := s.Stats().Pending; p != 5*round {
			t.Fatalf("%d records after %d crashes", p, round)
		}
		if err := s.Sync(t.Context(), add(t, s, 5)); err != nil {
			t.Fatal(err)
		}
		add(t, s, 3)
		m.Crash()
		if _, err := s.Append(t.Context(), nil); !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("Append after the crash: %v", err)
		}
	}
}

func TestContentsWithoutANameAreForgotten(t *testing.T) {
	m := new(storetest.Medium)
	s := m.Open()
	last := add(t, s, 1)
	m.CutAfter(4) // it creates the file, writes the header and the record, syncs it, and then the folder
	if err := s.Sync(t.Context(), last); err != nil && !errors.Is(err, storetest.ErrPower) {
		t.Fatal(err)
	} else if err == nil {
		t.Fatal("Sync succeeds without power")
	}
	m.Crash()
	if n := len(m.Files()); n != 0 {
		t.Errorf("the medium holds %v", m)
	}
}

func TestFailSyncFailsUntilItIsTakenBack(t *testing.T) {
	broken := errors.New("broken")
	m := new(storetest.Medium)
	s := m.Open()
	m.FailSync(broken)
	last := add(t, s, 1)
	if err := s.Sync(t.Context(), last); !errors.Is(err, broken) {
		t.Errorf("Sync: %v", err)
	}
	m.FailSync(nil)
	if err := s.Sync(t.Context(), last); err != nil {
		t.Errorf("Sync: %v", err)
	}
	m.Crash()
	if p := m.Open().Stats().Pending; p != 1 {
		t.Errorf("%d records", p)
	}
}

func waitFor(t *testing.T, m *storetest.Medium, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); m.Waiting() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d syncs wait, want %d", m.Waiting(), n)
		}
	}
}

func TestHoldSyncHoldsUntilReleaseOrCrash(t *testing.T) {
	for name, want := range map[string]error{"Release": nil, "Crash": eventstore.ErrClosed} {
		t.Run(name, func(t *testing.T) {
			m := new(storetest.Medium)
			s := m.Open()
			release := m.HoldSync()
			last := add(t, s, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- s.Sync(ctx, last) }()
			waitFor(t, m, 1)
			select {
			case err := <-result:
				t.Fatalf("Sync returned %v while it was held", err)
			default:
			}
			if want == nil {
				release()
				release()
			} else {
				m.Crash()
			}
			if err := <-result; !errors.Is(err, want) {
				t.Errorf("Sync: %v, want %v", err, want)
			}
			waitFor(t, m, 0)
		})
	}
}

func TestTwoStoresCannotShareAMedium(t *testing.T) {
	m := new(storetest.Medium)
	s := m.Open()
	if _, err := m.OpenConfig(filestore.Config{}); err == nil {
		t.Error("a second store was opened")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenConfig(filestore.Config{}); err != nil {
		t.Error(err)
	}
}
