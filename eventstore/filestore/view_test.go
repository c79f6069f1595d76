package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/storetest"
)

// readFolder returns the contents of a folder.
func readFolder(t *testing.T, dir string) files {
	t.Helper()
	all := files{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// seen returns what a View shows: the offsets of the records, and the damage.
func seen(t *testing.T, v *filestore.View) (offsets []uint64, damage []*filestore.DamageError) {
	t.Helper()
	for i := range v.Segments {
		for rec, err := range v.Records(i) {
			var e *filestore.DamageError
			switch {
			case errors.As(err, &e):
				damage = append(damage, e)
			case err != nil:
				t.Fatal(err)
			case string(rec.Data) != string(payload(rec.Offset)):
				t.Fatalf("the record %d is %.60q", rec.Offset, rec.Data)
			default:
				offsets = append(offsets, rec.Offset)
			}
		}
	}
	return offsets, damage
}

func mustLook(t *testing.T, cfg filestore.Config) *filestore.View {
	t.Helper()
	v, err := filestore.Look(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func variants() map[string]filestore.Config {
	return map[string]filestore.Config{
		"Plain":  {SegmentBytes: 4 << 10},
		"Packed": {SegmentBytes: 4 << 10, Key: key("k1"), Codec: compress.S2{}},
	}
}

func TestAViewOfAStoreInUseShowsWhatIsThereAndChangesNothing(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = t.TempDir()
			s := open(t, cfg)
			mustSync(t, s, fill(t, s, 300))
			before := readFolder(t, cfg.Dir)
			v := mustLook(t, cfg)
			offsets, damage := seen(t, v)
			expectRun(t, offsets, 1, 300)
			if len(damage) > 0 || !v.InUse || v.Cursor != 0 || v.CursorErr != nil {
				t.Errorf("%v, %+v", damage, v)
			}
			if !maps.EqualFunc(before, readFolder(t, cfg.Dir), slices.Equal) {
				t.Error("files were changed")
			}
			fill(t, s, 10)
			if err := s.Ack(t.Context(), 77); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			if v = mustLook(t, cfg); v.InUse || v.Cursor != 77 {
				t.Errorf("%+v", v)
			}
			if cfg.Codec != nil && (v.Segments[0].Codec != "s2" || v.Segments[0].Key != "k1") {
				t.Errorf("%+v", v.Segments[0])
			}
		})
	}
}

func TestAViewShowsDamage(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10}
	all := saved(t, cfg, 200, 0)
	names := all.segments()
	clear(all[names[0]][headerBytes+10*payloadBytes : headerBytes+12*payloadBytes])
	all[names[1]] = all[names[1]][:headerBytes+20*payloadBytes]
	last := all[names[len(names)-1]]
	all[names[len(names)-1]] = last[:len(last)-5]
	cfg.Dir = all.with(t, "", nil)
	v := mustLook(t, cfg)
	offsets, damage := seen(t, v)
	if len(offsets) != 200-2-43-1 || len(damage) != 3 {
		t.Fatalf("%d records; %v", len(offsets), damage)
	}
	if d := damage[0]; d.First != 11 || d.Last != 12 || d.Pos != headerBytes+10*payloadBytes || d.Bytes != 2*payloadBytes || d.Missing || d.Tail {
		t.Errorf("%+v", d)
	}
	if d := damage[1]; d.First != 84 || d.Last != 126 || !d.Missing {
		t.Errorf("%+v", d)
	}
	if d := damage[2]; d.First != 200 || !d.Tail || d.Bytes != payloadBytes-5 {
		t.Errorf("%+v", d)
	}
}

func TestAViewWithoutTheKeySaysSo(t *testing.T) {
	cfg := filestore.Config{Dir: t.TempDir(), Key: key("k1")}
	s := open(t, cfg)
	fill(t, s, 10)
	mustClose(t, s)
	v := mustLook(t, filestore.Config{Dir: cfg.Dir})
	if err := v.Segments[0].Err; err == nil || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("%v", err)
	}
	if _, err := filestore.Repair(filestore.Config{Dir: cfg.Dir}, nil); err == nil || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("Repair: %v", err)
	}
}

func TestRepairLeavesASoundStoreWithAllThatCanBeRead(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = t.TempDir()
			s := open(t, cfg)
			for range 60 {
				mustSync(t, s, fill(t, s, 5))
			}
			if err := s.Ack(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			all := readFolder(t, cfg.Dir)
			damageSome(t, all)
			cfg.Dir = all.with(t, "", nil)
			before, damage := seen(t, mustLook(t, cfg))
			if len(damage) < 4 {
				t.Fatalf("%v", damage)
			}
			var progress []int64
			r, err := filestore.Repair(cfg, func(done, total int64) { progress = append(progress, done, total) })
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Segments) < 3 || r.Records == 0 || r.Lost == 0 || !r.Cursor {
				t.Errorf("%+v", r)
			}
			if n := len(progress); n == 0 || progress[n-1] != progress[n-2] || progress[n-1] == 0 {
				t.Errorf("the progress was %v", progress)
			}
			v := mustLook(t, cfg)
			after, damage := seen(t, v)
			if !slices.Equal(before, after) || v.CursorErr != nil || len(v.Aside) != len(r.Segments) {
				t.Errorf("%v; %v, before %v", v, brief(after), brief(before))
			}
			for _, d := range damage {
				if !d.Missing {
					t.Errorf("after the repair: %v", d)
				}
			}
			if r, err = filestore.Repair(cfg, nil); err != nil || len(r.Segments) > 0 || r.Cursor {
				t.Errorf("the second repair: %+v, %v", r, err)
			}
			offsets, _ := readAll(t, open(t, cfg), 0, eventstore.Limit{})
			if !slices.Equal(offsets, before) {
				t.Errorf("the store has %v, want %v", brief(offsets), brief(before))
			}
		})
	}
}

// damageSome damages segments, in their middle, start and end, and the cursor.
func damageSome(t *testing.T, all files) {
	t.Helper()
	names := all.segments()
	if len(names) < 4 {
		t.Fatalf("%v", names)
	}
	all[names[0]][len(all[names[0]])/2] ^= 1
	all[names[0]][len(all[names[0]])/3] ^= 1
	all[names[1]][5] ^= 1
	all[names[2]][60] ^= 1
	last := names[len(names)-1]
	all[last] = all[last][:len(all[last])-3]
	all["cursor"][9] ^= 1
}

func TestRepairRefusesAStoreInUse(t *testing.T) {
	cfg := filestore.Config{Dir: t.TempDir()}
	s := open(t, cfg)
	fill(t, s, 1)
	if _, err := filestore.Repair(cfg, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}

// A crash at any step of a repair leaves all that could be read before.
func TestRepairLosesNothingInAPowerCut(t *testing.T) {
	cfg := filestore.Config{SegmentBytes: 4 << 10}
	all := saved(t, cfg, 200, 0)
	all[all.segments()[0]][headerBytes+10*payloadBytes] ^= 1
	all[all.segments()[1]][headerBytes+3] ^= 1
	cuts := 0
	for done := false; !done; cuts++ {
		m := new(storetest.Medium)
		for name, content := range all {
			m.WriteFile(name, content)
		}
		m.CutAfter(cuts + 1)
		_, err := m.Repair(cfg)
		done = err == nil
		for left := range m.Outcomes(50) {
			s := openOn(t, left, cfg)
			offsets, _ := readAll(t, s, 0, eventstore.Limit{})
			if len(offsets) != 198 {
				t.Fatalf("cut %d: %d records: %v", cuts, len(offsets), left)
			}
		}
	}
	if cuts < 15 {
		t.Errorf("only %d operations", cuts)
	}
}

func ExampleLook() {
	dir, err := os.MkdirTemp("", "filestore")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := filestore.Open(filestore.Config{Dir: dir})
	if err == nil {
		_, err = store.Append(context.Background(), []byte("21.5"))
	}
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := filestore.Look(filestore.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, segment := range v.Segments {
		for record, err := range v.Records(i) {
			fmt.Println(segment.Name, record.Offset, string(record.Data), err)
		}
	}
	// Output:
	// 00000000000000000001.seg 1 21.5 <nil>
}
