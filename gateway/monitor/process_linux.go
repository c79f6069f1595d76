package monitor

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// readProcess reads what proc(5) says of this process. Times are in units of
// USER_HZ, which is 100 on every architecture that Go runs on.
func readProcess() (p processStats, ok bool) {
	raw, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return p, false
	}
	// The name in parentheses may hold anything. What follows is from field 3 on.
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(f) < 22 {
		return p, false
	}
	field := func(i int) float64 {
		n, _ := strconv.ParseFloat(f[i-3], 64)
		return n
	}
	p.cpu = (field(14) + field(15)) / 100
	p.virtual, p.resident = field(23), field(24)*float64(os.Getpagesize())
	p.files = -1
	if dir, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.files = len(dir) - 1 // without the one that reads the folder
	}
	return p, true
}
