package tbconfig

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
}
