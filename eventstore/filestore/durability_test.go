package filestore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// killed makes the next Crash of m the end of the process: the operating system
// still writes what it was given.
func killed(m *storetest.Medium) {
	m.Leave(storetest.Leftover{Bytes: 1 << 30, Names: true})
}

func levels() map[string]filestore.Durability {
	return map[string]filestore.Durability{"Always": filestore.Always, "Interval": filestore.Interval, "None": filestore.None}
}

func TestAtEveryLevelAKillLosesNothingThatSyncHasConfirmed(t *testing.T) {
	for name, level := range levels() {
		t.Run(name, func(t *testing.T) {
			m := new(storetest.Medium)
			cfg := filestore.Config{Durability: level, SegmentBytes: 4 << 10, SyncInterval: time.Hour}
			s := openOn(t, m, cfg)
			last := fill(t, s, 300)
			mustSync(t, s, last)
			fill(t, s, 10)
			killed(m)
			m.Crash()
			s = openOn(t, m, cfg)
			offsets, _ := readAll(t, s, 0, eventstore.Limit{})
			expectRun(t, offsets, 1, last)
		})
	}
}

// The lower levels are there to spare the medium.
func TestTheLowerLevelsForceNothingForAWaiter(t *testing.T) {
	for name, want := range map[string]uint64{"Interval": 1, "None": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(storetest.Medium)
				s := openOn(t, m, filestore.Config{Durability: levels()[name], SegmentBytes: 4 << 10})
				for range 500 {
					mustSync(t, s, fill(t, s, 1))
				}
				if n := s.Stats().Syncs; n != 0 {
					t.Errorf("%d syncs for 500 waiters", n)
				}
				time.Sleep(1500 * time.Millisecond)
				if n := s.Stats().Syncs; n != want {
					t.Errorf("%d syncs after the interval, want %d", n, want)
				}
				time.Sleep(time.Hour)
				if n := s.Stats().Syncs; n != want {
					t.Errorf("%d syncs of an idle store, want %d", n, want)
				}
			})
		})
	}
}

func TestIntervalLosesAtMostTheLastIntervalInAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		m.Leave(storetest.Leftover{Bytes: -1})
		cfg := filestore.Config{Durability: filestore.Interval, SegmentBytes: 4 << 10, SyncInterval: 5 * time.Second}
		s := openOn(t, m, cfg)
		var old uint64
		for range 40 { // over several segments
			old = fill(t, s, 20)
			mustSync(t, s, old)
			time.Sleep(300 * time.Millisecond)
		}
		old = fill(t, s, 20) // nobody waits for these
		time.Sleep(5*time.Second + time.Millisecond)
		fill(t, s, 100)
		m.Crash()
		s = openOn(t, m, cfg)
		if err := peekRun(t.Context(), s, 0, old); err != nil {
			t.Errorf("%d records were older than the interval: %v", old, err)
		}
	})
}

func TestCloseForcesToTheMediumAtEveryLevel(t *testing.T) {
	for name, level := range levels() {
		t.Run(name, func(t *testing.T) {
			m := new(storetest.Medium)
			m.Leave(storetest.Leftover{Bytes: -1})
			cfg := filestore.Config{Durability: level, SyncInterval: time.Hour}
			s := openOn(t, m, cfg)
			last := fill(t, s, 100)
			mustClose(t, s)
			m.Crash()
			s = openOn(t, m, cfg)
			offsets, _ := readAll(t, s, 0, eventstore.Limit{})
			expectRun(t, offsets, 1, last)
		})
	}
}

// At the level Interval nobody waits for the medium, so its failure has to be
// told, and what comes then must not go to the file that has failed.
func TestAFailedIntervalBeginsANewSegmentThatIsForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged syncBuffer
		m := new(storetest.Medium)
		m.Leave(storetest.Leftover{Bytes: -1})
		s := openOn(t, m, filestore.Config{Durability: filestore.Interval, Logger: logged.logger()})
		fill(t, s, 10)
		time.Sleep(1100 * time.Millisecond)
		last := fill(t, s, 10)
		mustSync(t, s, last)
		m.FailSync(errMedium)
		time.Sleep(time.Minute)
		if err := s.Condition().Failure; !errors.Is(err, errMedium) {
			t.Errorf("the condition is %v", err)
		}
		if n := strings.Count(logged.String(), "medium fails"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, logged.String())
		}
		failed := last
		last = fill(t, s, 10)
		if err := s.Sync(limited(t), last); !errors.Is(err, errMedium) {
			t.Errorf("Sync on a medium that fails: %v", err)
		}
		m.FailSync(nil)
		mustSync(t, s, last)
		if err := s.Condition().Failure; err != nil {
			t.Errorf("the condition is %v", err)
		}
		if _, ok := m.Files()[fmt.Sprintf("%020d.seg", failed+1)]; !ok {
			t.Errorf("the file whose sync has failed is still in use: %v", m)
		}
		time.Sleep(1100 * time.Millisecond)
		m.Crash()
		s = openOn(t, m, filestore.Config{})
		offsets, _ := readAll(t, s, 0, eventstore.Limit{})
		if n := len(offsets); n < 20 || offsets[9] != 10 || offsets[n-1] != last || offsets[n-10] != last-9 {
			t.Errorf("the records are %s", brief(offsets))
		}
	})
}

// What follows a failure goes to another file, even if the medium works again.
func TestAFileWhoseIntervalHasFailedIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{Durability: filestore.Interval})
		last := fill(t, s, 10)
		mustSync(t, s, last)
		m.FailSync(errMedium)
		time.Sleep(1100 * time.Millisecond)
		m.FailSync(nil)
		mustSync(t, s, fill(t, s, 10))
		if _, ok := m.Files()[fmt.Sprintf("%020d.seg", last+1)]; !ok {
			t.Errorf("the file is still in use: %v", m)
		}
		if err := peekRun(t.Context(), s, 0, last+10); err != nil {
			t.Error(err)
		}
	})
}

func TestThereIsNoOtherLevel(t *testing.T) {
	m := new(storetest.Medium)
	if _, err := m.OpenConfig(filestore.Config{Durability: filestore.None + 1}); err == nil || !strings.Contains(err.Error(), "durability") {
		t.Errorf("%v", err)
	}
}
