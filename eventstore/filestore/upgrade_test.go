package filestore_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// release1 returns the files of a store that the first release has written: the
// payloads of the offsets 1 to 100 in two segments, acknowledged up to 10.
func release1(t *testing.T) files {
	t.Helper()
	all := files{}
	entries, err := os.ReadDir("testdata/release1")
	if err != nil || len(entries) != 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join("testdata/release1", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = b
	}
	return all
}

func TestAStoreOfTheFirstReleaseIsReadAndContinued(t *testing.T) {
	for name, cfg := range map[string]filestore.Config{
		"AsItWas": {}, "Encrypted": {Key: key("k1")}, "Packed": {Key: key("k1"), Codec: compress.S2{}}, "Interval": {Durability: filestore.Interval},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = release1(t).with(t, "", nil)
			for last := uint64(100); last < 300; last += 50 {
				s := open(t, cfg)
				if st := s.Stats(); st.Pending != last-10 || st.Dropped != 0 {
					t.Fatalf("%+v, want %d records", st, last-10)
				}
				if err := peekRun(limited(t), s, 10, last); err != nil {
					t.Fatal(err)
				}
				for o := last + 1; o <= last+50; o++ {
					appendOne(t, s, o)
				}
				mustClose(t, s)
			}
		})
	}
}

// Without compression and encryption the files stay those that the first release
// can read, so that going back is possible.
func TestPlainFilesAreThoseOfTheFirstRelease(t *testing.T) {
	want := release1(t)
	cfg := filestore.Config{Dir: t.TempDir(), SegmentBytes: 4 << 10}
	s := open(t, cfg)
	fill(t, s, 100)
	if err := s.Ack(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	got := files{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		b, err := os.ReadFile(filepath.Join(cfg.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = b
		if !slices.Equal(b, want[name]) {
			t.Errorf("%s is another one", name)
		}
	}
	offsets, _ := readAll(t, open(t, filestore.Config{Dir: got.with(t, "", nil)}), 0, eventstore.Limit{})
	expectRun(t, offsets, 11, 100)
}
