package filestore_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// contents returns the files on m.
func contents(m *storetest.Medium) files {
	all := files{}
	for name := range m.Files() {
		all[name], _ = m.ReadFile(name)
	}
	return all
}

func TestAnEncryptedStoreShowsNothingOfItsRecords(t *testing.T) {
	for name, cfg := range map[string]filestore.Config{"Plain": {}, "Encrypted": {Key: key("k1")}, "Both": {Key: key("k1"), Codec: compress.S2{}}} {
		m := new(storetest.Medium)
		s := openOn(t, m, cfg)
		mustSync(t, s, fill(t, s, 1))
		fill(t, s, 100)
		mustClose(t, s)
		seen := false
		for _, b := range contents(m) {
			seen = seen || bytes.Contains(b, []byte("the record")) || bytes.Contains(b, cfg.Key.Secret[:min(10, len(cfg.Key.Secret))]) && len(cfg.Key.Secret) > 0
		}
		if seen != (name == "Plain") {
			t.Errorf("%s: the records or the key can be read: %v", name, seen)
		}
	}
}

func TestWithoutItsKeyAStoreIsLeftAlone(t *testing.T) {
	impostor := key("k1")
	impostor.Secret = bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]struct {
		cfg  filestore.Config
		says string
	}{
		"NoKey":      {filestore.Config{Codec: compress.S2{}}, `key "k1": there is no key`},
		"OtherKey":   {filestore.Config{Codec: compress.S2{}, Key: key("k2")}, `key "k1": there is no key`},
		"WrongKey":   {filestore.Config{Codec: compress.S2{}, Key: impostor}, `key "k1": the key of that ID is another`},
		"NoCodec":    {filestore.Config{Key: key("k1")}, `"s2": there is no codec`},
		"ShortKey":   {filestore.Config{Key: filestore.Key{ID: "k1", Secret: []byte("short")}}, `key "k1": the secret has 5 bytes`},
		"LongID":     {filestore.Config{Key: key("much too long")}, `"much too long"`},
		"OldOfOther": {filestore.Config{Codec: compress.S2{}, Key: key("k3"), OldKeys: []filestore.Key{key("k2")}}, `key "k1": there is no key`},
	} {
		t.Run(name, func(t *testing.T) {
			m := new(storetest.Medium)
			s := openOn(t, m, filestore.Config{Key: key("k1"), Codec: compress.S2{}, SegmentBytes: 4 << 10})
			fill(t, s, 500)
			mustClose(t, s)
			before := contents(m)
			c.cfg.Logger = quiet()
			if _, err := m.OpenConfig(c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Open: %v, want %s", err, c.says)
			}
			if !maps.EqualFunc(before, contents(m), bytes.Equal) {
				t.Error("files were changed")
			}
			s = openOn(t, m, filestore.Config{Key: key("k1"), Codec: compress.S2{}})
			offsets, _ := readAll(t, s, 0, eventstore.Limit{})
			expectRun(t, offsets, 1, 500)
		})
	}
}

// A store goes on when keys and codecs are exchanged, and reads what others have
// written.
func TestKeysAndCodecsCanBeExchanged(t *testing.T) {
	k1, k2 := key("k1"), key("k2")
	m := new(storetest.Medium)
	last := uint64(0)
	for i, cfg := range []filestore.Config{
		{},
		{Key: k1},
		{Key: k2, Codec: compress.S2{}, OldKeys: []filestore.Key{k1}},
		{Codec: compress.S2{}, OldKeys: []filestore.Key{k1, k2}},
		{OldKeys: []filestore.Key{k2, k1}, OldCodecs: []filestore.Codec{compress.S2{}}},
		{Key: k1, OldKeys: []filestore.Key{k2}, OldCodecs: []filestore.Codec{compress.S2{}}},
	} {
		cfg.SegmentBytes = 16 << 10
		s := openOn(t, m, cfg)
		if p := s.Stats().Pending; p != last {
			t.Fatalf("configuration %d: %d records, want %d", i, p, last)
		}
		if err := peekRun(limited(t), s, 0, last); err != nil {
			t.Fatalf("configuration %d: %v", i, err)
		}
		for range 400 {
			last++
			appendOne(t, s, last)
		}
		mustSync(t, s, last)
		if err := peekRun(limited(t), s, 0, last); err != nil {
			t.Fatalf("configuration %d: %v", i, err)
		}
		m.Crash()
	}
}

func TestCompressionMakesFilesSmaller(t *testing.T) {
	var size [2]int64
	for i, cfg := range []filestore.Config{{}, {Codec: compress.S2{}, Key: key("k1")}} {
		m := new(storetest.Medium)
		s := openOn(t, m, cfg)
		mustSync(t, s, fill(t, s, 20_000))
		size[i] = s.Condition().FileBytes
		if err := peekRun(limited(t), s, 0, 20_000); err != nil {
			t.Error(err)
		}
		mustClose(t, s) // cuts off what the file was prepared with
		stored := int64(0)
		for _, name := range segmentsOn(m) {
			b, _ := m.ReadFile(name)
			stored += int64(len(b))
		}
		if stored != size[i] {
			t.Errorf("the files have %d bytes, the store says %d", stored, size[i])
		}
	}
	if size[1] > size[0]/2 {
		t.Errorf("%d bytes instead of %d", size[1], size[0])
	}
}

// The bound is kept even if each record becomes as large as encryption can make
// it.
func TestAnEncryptedStoreStaysWithinMaxBytes(t *testing.T) {
	for _, o := range []eventstore.Overflow{eventstore.Reject, eventstore.DropOldest} {
		m := new(storetest.Medium)
		s := openOn(t, m, filestore.Config{MaxBytes: 64 << 10, Key: key("k1"), Overflow: o, SyncInterval: time.Hour})
		for i := uint64(1); i < 3000; i++ {
			off, err := s.Append(t.Context(), []byte("x"))
			if err != nil {
				break
			}
			if i%3 > 0 {
				mustSync(t, s, off)
			}
			if n := used(m) - int64(m.Files()["cursor"]) - int64(m.Files()["cursor.new"]); n > 64<<10 {
				t.Fatalf("policy %d: the files have %d bytes", o, n)
			}
		}
		if p := s.Stats().Pending; p < 600 {
			t.Errorf("policy %d: only %d records", o, p)
		}
	}
}

// A flip costs at most the records that are encrypted together.
func TestTortureBitFlipCostsNoOtherContainer(t *testing.T) {
	const each, n = 5, 40
	for name, cfg := range map[string]filestore.Config{
		"Encrypted": {Key: key("k1")}, "Compressed": {Codec: compress.S2{}}, "Both": {Key: key("k1"), Codec: compress.S2{}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.SegmentBytes = 4 << 10
			m := new(storetest.Medium)
			s := openOn(t, m, cfg)
			for range n / each {
				mustSync(t, s, fill(t, s, each))
			}
			mustClose(t, s)
			all := contents(m)
			for _, name := range all.segments() {
				for k := range len(all[name]) * intFlag(flipsFlag) {
					at, bit := k%len(all[name]), (k+k/len(all[name]))%8
					damaged := new(storetest.Medium)
					for other, content := range all {
						damaged.WriteFile(other, content)
					}
					damaged.WriteFile(name, flipped(all[name], at, bit))
					checkOneContainerLost(t, damaged, cfg, n, each, fmt.Sprintf("bit %d of byte %d of %s", bit, at, name))
				}
			}
		})
	}
}

// A container can hold more records than would fit into it without compression.
func TestADamagedContainerOfManyRecordsCostsNoOther(t *testing.T) {
	m := new(storetest.Medium)
	cfg := filestore.Config{Codec: compress.S2{}, Key: key("k1"), SyncInterval: time.Hour}
	s := openOn(t, m, cfg)
	const many = 500
	for range many {
		if _, err := s.Append(t.Context(), make([]byte, 110)); err != nil {
			t.Fatal(err)
		}
	}
	mustSync(t, s, many)
	for o := uint64(many + 1); o <= many+20; o++ {
		appendOne(t, s, o)
	}
	mustClose(t, s)
	name := contents(m).segments()[0]
	b, _ := m.ReadFile(name)
	m.WriteFile(name, flipped(b, 100, 1))
	s = openOn(t, m, cfg)
	if err := peekRun(limited(t), s, many, many+20); err != nil {
		t.Error(err)
	}
	if recs, err := s.Peek(limited(t), 0, nil, eventstore.Limit{}); err != nil || recs[0].Offset != many+1 || s.Stats().Dropped != many {
		t.Errorf("the first record is %v, %v; %+v", recs[0], err, s.Stats())
	}
}

func checkOneContainerLost(t *testing.T, m *storetest.Medium, cfg filestore.Config, n, each uint64, what string) {
	t.Helper()
	s := openOn(t, m, cfg)
	defer mustClose(t, s)
	offsets, _ := readAll(t, s, 0, eventstore.Limit{})
	there := map[uint64]bool{}
	for _, o := range offsets {
		there[o] = true
	}
	lost := map[uint64]bool{}
	for o := uint64(1); o <= n; o++ {
		if !there[o] {
			lost[(o-1)/each] = true
		}
	}
	if len(lost) > 1 || len(offsets) > int(n) {
		t.Fatalf("%s: the records are %s", what, brief(offsets))
	}
	if d := s.Stats().Dropped; d > each || uint64(len(offsets))+d < n-each {
		t.Fatalf("%s: %d records, %d count as dropped", what, len(offsets), d)
	}
}
