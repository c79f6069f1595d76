package statistics

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// hertz is the unit of times in /proc: USER_HZ, which is 100 on every
// architecture that Go runs on (proc(5), time(7)).
const hertz = 100

// machine reads the figures of the machine and of this process; see proc(5).
type machine struct {
	proc string // the mount point of the proc file system
	path string // on the disk that is asked about
	page uint64
}

func newMachine(disk string) machine {
	return machine{proc: "/proc", path: disk, page: uint64(os.Getpagesize())}
}

// cpu returns the zero times if they cannot be read.
func (m machine) cpu() cpuTimes {
	var t cpuTimes
	stat, err := os.ReadFile(filepath.Join(m.proc, "stat"))
	if err != nil {
		return t
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return t
	}
	// user nice system idle iowait irq softirq steal; guests are in user
	for i, f := range fields[1:9] {
		n, _ := strconv.ParseUint(f, 10, 64)
		t.total += float64(n) / hertz
		if i == 3 || i == 4 {
			t.idle += float64(n) / hertz
		}
	}
	t.own = m.ownTime()
	return t
}

func (m machine) ownTime() float64 {
	stat, err := os.ReadFile(filepath.Join(m.proc, "self/stat"))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseUint(fields[11], 10, 64)
	system, _ := strconv.ParseUint(fields[12], 10, 64)
	return float64(user+system) / hertz
}

// memory reports whether the sizes could be read.
func (m machine) memory() (s memorySize, ok bool) {
	kb := m.table("meminfo")
	total, known := kb["MemTotal"]
	available, also := kb["MemAvailable"]
	return memorySize{total << 10, min(available, total) << 10}, known && also
}

// process reports whether the memory of the process could be read.
func (m machine) process() (p processInfo, ok bool) {
	raw, err := os.ReadFile(filepath.Join(m.proc, "self/statm"))
	if err != nil {
		return p, false
	}
	var pages [6]uint64 // size resident shared text lib data
	fields := strings.Fields(string(raw))
	if len(fields) < len(pages) {
		return p, false
	}
	for i := range pages {
		n, _ := strconv.ParseUint(fields[i], 10, 64)
		pages[i] = n * m.page
	}
	p = processInfo{VMS: pages[0], RSS: pages[1], Shared: pages[2], Text: pages[3], Data: pages[5]}
	if kb := m.table("self/smaps_rollup"); len(kb) > 0 {
		uss := (kb["Private_Clean"] + kb["Private_Dirty"]) << 10
		pss, swap := kb["Pss"]<<10, kb["Swap"]<<10
		p.USS, p.PSS, p.Swap = &uss, &pss, &swap
	}
	return p, true
}

// table returns the numbers of a file with lines such as "MemTotal: 16 kB".
func (m machine) table(name string) map[string]uint64 {
	raw, err := os.ReadFile(filepath.Join(m.proc, name))
	if err != nil {
		return nil
	}
	t := make(map[string]uint64)
	for line := range strings.Lines(string(raw)) {
		key, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) != 2 || fields[1] != "kB" {
			continue
		}
		if n, err := strconv.ParseUint(fields[0], 10, 64); err == nil {
			t[key] = n
		}
	}
	return t
}

// disk reports whether the space could be found out.
func (m machine) disk() (d diskSpace, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(m.path, &s) != nil {
		return d, false
	}
	size := uint64(s.Bsize)
	return diskSpace{total: s.Blocks * size, used: (s.Blocks - s.Bfree) * size, free: s.Bavail * size}, true
}
