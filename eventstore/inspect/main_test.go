package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/internal/record"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// quietly adds what keeps a store small and silent.
func quietly(cfg filestore.Config) filestore.Config {
	cfg.SegmentBytes, cfg.Logger = 4<<10, slog.New(slog.DiscardHandler)
	return cfg
}

// open opens a store with n records of two devices, of which 10 are
// acknowledged.
func open(t *testing.T, cfg filestore.Config, n int) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(quietly(cfg))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	for i := range n {
		var b telemetry.Batch
		b.Device(fmt.Sprintf("meter-%d", i%2), "adw300")
		b.AddTelemetry(telemetry.Point{Key: "u", Value: telemetry.Float(230.5), TS: time.Now().Add(-time.Hour).UnixMilli()})
		b.AddTelemetry(telemetry.Point{Key: "state", Value: telemetry.String(`a "quoted" text`), TS: 1_700_000_000_000 + int64(i)})
		b.Attribute("serial", telemetry.Int(int64(i)))
		_, err := s.Append(t.Context(), record.Append(nil, b.Groups()))
		require.NoError(t, err)
	}
	require.NoError(t, s.Sync(t.Context(), uint64(n)))
	require.NoError(t, s.Ack(t.Context(), 10))
	return s
}

// inspect runs the program.
func inspect(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestListShowsSegmentsCursorAndWhatIsPending(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, filestore.Config{Dir: dir}, 200).Close())
	status, out, errs := inspect(t, dir)
	require.Equal(t, statusFine, status, errs)
	require.Contains(t, out, "cursor: offset 10 is released")
	require.Contains(t, out, "00000000000000000001.seg")
	require.Contains(t, out, "pending: 190 records")
	require.Regexp(t, `"meter-0" +95 +285 +2023-11-14 .* +\d+h`, out)
	require.Regexp(t, `"meter-1" +95 +285 `, out)
	require.NotContains(t, out, "works in the folder")
}

func TestAStoreInUseIsShownAndNotRepaired(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filestore.Config{Dir: dir}, 20)
	status, out, errs := inspect(t, dir)
	require.Equal(t, statusFine, status, errs)
	require.Contains(t, out, "a store works in the folder")
	status, _, errs = inspect(t, "-repair", dir)
	require.Equal(t, statusFailed, status)
	require.Contains(t, errs, "in use")
	require.NoError(t, s.Close())
}

func TestExportPrintsEachPendingRecordAsJSON(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filestore.Config{Dir: dir}, 30)
	_, err := s.Append(t.Context(), []byte{99, 1})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	status, out, errs := inspect(t, "-export", dir)
	require.Equal(t, statusFine, status, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 21)
	require.JSONEq(t, `{"offset":12,"groups":[{"device":"meter-1","profile":"adw300","telemetry":[{"ts":0,"key":"u","value":230.5},
		{"ts":1700000000011,"key":"state","value":"a \"quoted\" text"}],"attributes":[{"key":"serial","value":11}]}]}`,
		zeroFirstTime(t, lines[1]))
	require.JSONEq(t, `{"offset":31,"data":"YwE=","error":"record: version 99 is not known"}`, lines[20])
	_, out, _ = inspect(t, "-export", "-all", dir)
	require.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 31)
	_, out, _ = inspect(t, dir)
	require.Contains(t, out, "1 of them are not records of a gateway")
}

// zeroFirstTime sets the first time in a line to 0.
func zeroFirstTime(t *testing.T, line string) string {
	t.Helper()
	before, rest, ok := strings.Cut(line, `"ts":`)
	require.True(t, ok)
	_, rest, _ = strings.Cut(rest, ",")
	require.True(t, json.Valid([]byte(line)), line)
	return before + `"ts":0,` + rest
}

func TestDamageIsFoundAndRepaired(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, filestore.Config{Dir: dir}, 200).Close())
	status, out, _ := inspect(t, "-verify", dir)
	require.Equal(t, statusFine, status, out)
	require.Contains(t, out, "200 sound records, 0 records damaged")

	path := filepath.Join(dir, "00000000000000000001.seg")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o600))
	cursor := filepath.Join(dir, "cursor")
	require.NoError(t, os.WriteFile(cursor, []byte("no cursor"), 0o600))

	status, out, _ = inspect(t, "-verify", dir)
	require.Equal(t, statusDamaged, status)
	require.Contains(t, out, "are damaged, at byte")
	require.Contains(t, out, "cursor: damaged header")
	require.Contains(t, out, "199 sound records, 1 records damaged")
	status, out, _ = inspect(t, dir)
	require.Equal(t, statusDamaged, status)
	require.Contains(t, out, "damaged in 1 places")
	status, _, errs := inspect(t, "-export", dir)
	require.Equal(t, statusDamaged, status)
	require.Contains(t, errs, "are damaged")

	status, out, errs = inspect(t, "-repair", dir)
	require.Equal(t, statusFine, status, errs)
	require.Contains(t, out, "00000000000000000001.seg was damaged and is kept aside")
	require.Contains(t, out, "1 are lost")
	require.Contains(t, out, "cursor was damaged")
	_, out, _ = inspect(t, "-verify", dir)
	require.NotContains(t, out, "are damaged")
	_, out, _ = inspect(t, dir)
	require.Contains(t, out, "kept aside")
	status, out, _ = inspect(t, "-repair", dir)
	require.Equal(t, statusFine, status)
	require.Contains(t, out, "nothing is damaged")
}

func TestAnEncryptedStoreNeedsItsKey(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	dir := t.TempDir()
	cfg := filestore.Config{Dir: dir, Key: filestore.Key{ID: "k1", Secret: secret}, Codec: compress.S2{}}
	require.NoError(t, open(t, cfg, 50).Close())
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(hex.EncodeToString(secret)+"\n"), 0o600))

	status, out, _ := inspect(t, "-verify", dir)
	require.Equal(t, statusDamaged, status)
	require.Contains(t, out, `encrypted with the key "k1"`)
	status, out, errs := inspect(t, "-key", "k1="+file, "-export", dir)
	require.Equal(t, statusFine, status, errs)
	require.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 40)
	_, out, _ = inspect(t, "-key", "k1="+file, dir)
	require.Regexp(t, `seg +1 .* k1 +s2 +sound`, out)
	require.NotContains(t, out, hex.EncodeToString(secret))
}

func TestWrongUseIsExplained(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	require.NoError(t, os.WriteFile(bad, []byte("not hex"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "which folder"},
		{[]string{"-unknown", dir}, "-unknown"},
		{[]string{filepath.Join(dir, "missing")}, "missing"},
		{[]string{bad}, "not a folder"},
		{[]string{"-key", "x", dir}, "ID=FILE"},
		{[]string{"-key", "x=" + bad, dir}, "hexadecimal"},
		{[]string{"-repair", bad}, "not a"},
	} {
		status, _, errs := inspect(t, c.args...)
		require.Equal(t, statusFailed, status, "%v", c.args)
		require.Contains(t, errs, c.want, "%v", c.args)
	}
}

// Long work tells how far it is.
func TestProgressIsToldOncePerSecond(t *testing.T) {
	var w bytes.Buffer
	p := &progress{w: &w, total: 100 << 20, begun: time.Now().Add(-time.Minute), told: time.Now()}
	p.add(10 << 20)
	require.Empty(t, w.String())
	p.told = time.Now().Add(-time.Second)
	p.add(40 << 20)
	p.add(1)
	require.Equal(t, "\r 50 % of 100 MiB", w.String())
	p.end()
	require.True(t, strings.HasSuffix(w.String(), "\n"))
}
