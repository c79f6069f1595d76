package monitor_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
	"github.com/gridlinks/iot-gateway/eventstore/memstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/monitor"
)

// A store whose folder is gone cannot be written, and the one that takes its place
// can.
func TestAStoreThatCannotBeWrittenIsTold(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder in use cannot be removed on windows")
	}
	dir := filepath.Join(t.TempDir(), "store")
	files, err := filestore.Open(filestore.Config{Dir: dir, SyncInterval: time.Millisecond})
	require.NoError(t, err)
	defer files.Close()
	var inUse eventstore.EventStore = files
	cfg := full()
	cfg.Gateway = func() gateway.Stats { return gateway.Stats{} }
	cfg.StoreFailure = monitor.StoreFailure(func() eventstore.EventStore { return inUse })
	look := func(failing float64, code int) {
		t.Helper()
		require.Equal(t, failing, scrape(t, cfg).values["gateway_store_failing"])
		for _, path := range []string{"/healthz", "/readyz"} {
			got, reasons := check(t, cfg, path)
			require.Equal(t, code, got, path)
			require.Equal(t, failing == 1, strings.Contains(strings.Join(reasons, " "), "the store cannot be written"))
		}
	}
	offset, err := files.Append(t.Context(), []byte("record"))
	require.NoError(t, err)
	require.NoError(t, files.Sync(t.Context(), offset))
	look(0, http.StatusOK)
	require.NoError(t, os.RemoveAll(dir))
	offset, err = files.Append(t.Context(), []byte("record"))
	require.NoError(t, err)
	require.Error(t, files.Sync(t.Context(), offset))
	require.Eventually(t, func() bool { return files.Condition().Failure != nil }, 20*time.Second, time.Millisecond)
	look(1, http.StatusServiceUnavailable)
	inUse = memstore.New(memstore.Config{}) // of which nothing is known
	look(0, http.StatusOK)
}
