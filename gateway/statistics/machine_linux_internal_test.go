package statistics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeProc is a proc file system with known figures.
func fakeProc(t *testing.T, files map[string]string) machine {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "self"), 0o700))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return machine{proc: dir, path: dir, page: 4096}
}

func TestTheFiguresAreThoseOfProc(t *testing.T) {
	m := fakeProc(t, map[string]string{
		"stat":              "cpu  1000 100 500 8000 400 10 20 30 700 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n",
		"meminfo":           "MemTotal:        1000 kB\nMemFree: 1 kB\nMemAvailable:     250 kB\nHugePages_Total: 0\n",
		"self/stat":         "42 (a) b) ) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0\n",
		"self/statm":        "100 20 5 3 0 40 0\n",
		"self/smaps_rollup": "55-7f ---p 00000000 00:00 0 [rollup]\nRss: 80 kB\nPss: 60 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty: 20 kB\nSwap: 4 kB\n",
	})
	require.Equal(t, cpuTimes{total: 100.6, idle: 84, own: 4}, m.cpu())
	mem, ok := m.memory()
	require.True(t, ok)
	require.Equal(t, memorySize{total: 1000 << 10, available: 250 << 10}, mem)
	p, ok := m.process()
	require.True(t, ok)
	require.EqualValues(t, 100*4096, p.VMS)
	require.EqualValues(t, 20*4096, p.RSS)
	require.EqualValues(t, 5*4096, p.Shared)
	require.EqualValues(t, 3*4096, p.Text)
	require.EqualValues(t, 40*4096, p.Data)
	require.EqualValues(t, 30<<10, *p.USS)
	require.EqualValues(t, 60<<10, *p.PSS)
	require.EqualValues(t, 4<<10, *p.Swap)
	d, ok := m.disk()
	require.True(t, ok)
	require.GreaterOrEqual(t, d.total, d.used+d.free)
}

// A system that hides something, or has another format, costs that figure only.
func TestWhatCannotBeReadIsAbsent(t *testing.T) {
	for _, files := range []map[string]string{
		{},
		{"stat": "", "meminfo": "", "self/stat": "", "self/statm": ""},
		{"stat": "cpu x y", "meminfo": "MemTotal: x kB\nMemAvailable: 5\n", "self/stat": ")", "self/statm": "1 2"},
	} {
		m := fakeProc(t, files)
		require.Zero(t, m.cpu())
		_, ok := m.memory()
		require.False(t, ok)
		_, ok = m.process()
		require.False(t, ok)
	}
	_, ok := machine{path: "/no/such/path"}.disk()
	require.False(t, ok)
}

func TestSizesAreWrittenAsThePythonGatewayDoes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0.0B", 1000: "1000.0B", 1024: "1.0K", 1536: "1.5K", 79244034048: "73.8G", 1 << 63: "8.0E"} {
		require.Equal(t, want, human(n))
	}
}
