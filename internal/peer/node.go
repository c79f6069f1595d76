package peer

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Node returns the folder of the peers that are written for Node.js, in which
// "node script.js" is to be started. It skips the test unless Node.js and the
// named packages are installed there, as "npm ci" does.
func Node(t testing.TB, packages ...string) string {
	t.Helper()
	Need(t, "node")
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the folder of the sources is not known")
	}
	dir := filepath.Join(filepath.Dir(here), "node")
	for _, name := range packages {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", filepath.FromSlash(name))); err != nil {
			t.Skipf("peer not installed: %s (npm ci in internal/peer/node)", name)
		}
	}
	return dir
}
