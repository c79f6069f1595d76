package statistics

// cpuTimes are times since the machine, or the process, was started, in seconds.
type cpuTimes struct {
	total float64 // of all cores; zero: not known
	idle  float64 // of them, with nothing to do
	own   float64 // of the process, in user and system mode
}

// diskSpace is in bytes. Free is what is free for others than the administrator.
type diskSpace struct{ total, used, free uint64 }

// memorySize is in bytes.
type memorySize struct{ total, available uint64 }
