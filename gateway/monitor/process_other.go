//go:build !linux

package monitor

// readProcess knows nothing on this system.
func readProcess() (p processStats, ok bool) { return p, false }
