package monitor

import "runtime/metrics"

// process adds the metrics of the process. They have the names that programs in
// Go usually have.
func process(all *Metrics) {
	for _, r := range []struct{ name, from, help string }{
		{"go_goroutines", "/sched/goroutines:goroutines", "Goroutines that exist."},
		{"go_memory_heap_bytes", "/memory/classes/heap/objects:bytes", "Memory of objects on the heap, also of those that are not used any more."},
		{"go_memory_total_bytes", "/memory/classes/total:bytes", "Memory that the Go runtime has mapped."},
	} {
		all.Gauge(r.name, r.help, runtimeValue(r.from))
	}
	all.Counter("go_gc_cycles_total", "Garbage collections.", runtimeValue("/gc/cycles/total:gc-cycles"))
	own, ok := readProcess()
	if !ok {
		return
	}
	all.Counter("process_cpu_seconds_total", "Processor time of the process.", own.cpu)
	all.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", own.resident)
	all.Gauge("process_virtual_memory_bytes", "Memory of the process that is mapped.", own.virtual)
	if own.files >= 0 {
		all.Gauge("process_open_fds", "Open file descriptors.", float64(own.files))
	}
}

// runtimeValue returns a figure of the Go runtime, or zero if it has none.
func runtimeValue(name string) float64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	switch s[0].Value.Kind() {
	case metrics.KindUint64:
		return float64(s[0].Value.Uint64())
	case metrics.KindFloat64:
		return s[0].Value.Float64()
	default:
		return 0
	}
}

// processStats are in seconds and bytes.
type processStats struct {
	cpu, resident, virtual float64
	files                  int // negative: not known
}
