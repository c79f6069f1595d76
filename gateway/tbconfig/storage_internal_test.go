package tbconfig

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// The file that is shipped has the keys of all types. That records of the type
// sqlite expire after some days must not make those of the type file expire.
func TestEachStorageTypeReadsItsOwnKeys(t *testing.T) {
	s := Storage{Type: "file", Folder: "files", DataPath: "db", MaxRecords: 10, MaxAgeDays: 7, MaxBytes: 1000}
	require.Equal(t, filestore.Config{Dir: "files", MaxBytes: 1000}, s.files())
	s.Type = "SQLite"
	require.Equal(t, filestore.Config{Dir: "db", MaxBytes: 1000, MaxAge: 7 * 24 * time.Hour}, s.files())
	require.Equal(t, "./data/", Storage{Type: "file"}.files().Dir)
	require.EqualValues(t, 2048*10*1e6, Storage{Type: "sqlite", SizeLimit: 2048}.files().MaxBytes)
}

func TestStorageIsTuned(t *testing.T) {
	var cfg filestore.Config
	require.NoError(t, Storage{Durability: "Interval", SyncInterval: 500, Compression: "s2"}.tune(&cfg))
	require.Equal(t, filestore.Interval, cfg.Durability)
	require.Equal(t, 500*time.Millisecond, cfg.SyncInterval)
	require.Equal(t, compress.S2{}, cfg.Codec)
	cfg = filestore.Config{}
	require.NoError(t, Storage{Durability: "none"}.tune(&cfg))
	require.Equal(t, filestore.None, cfg.Durability)
	require.Nil(t, cfg.Codec)
	require.ErrorContains(t, Storage{Durability: "maybe"}.tune(&cfg), `storage.durability: "maybe"`)
	require.ErrorContains(t, Storage{Compression: "rar"}.tune(&cfg), `storage.compression: "rar"`)
}

func TestMemoryIsKeptInAFileOnRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	s := Storage{Type: "memory", Snapshot: path}
	store, err := s.open(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = store.Append(t.Context(), []byte("record"))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	store, err = s.open(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.EqualValues(t, 1, store.Stats().Pending)
	require.NoError(t, store.Close())
}
