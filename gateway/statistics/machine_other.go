//go:build !linux

package statistics

// machine knows nothing on this system.
type machine struct{}

func newMachine(string) machine { return machine{} }

func (machine) cpu() cpuTimes                { return cpuTimes{} }
func (machine) memory() (memorySize, bool)   { return memorySize{}, false }
func (machine) process() (processInfo, bool) { return processInfo{}, false }
func (machine) disk() (diskSpace, bool)      { return diskSpace{}, false }
