// Package compress has the codec that makes segment files of package filestore
// smaller. Telemetry, whose records repeat the names of devices and keys,
// usually shrinks to a third or less.
//
// Records are compressed together that become durable together. What many wait
// for one by one at the level filestore.Always therefore gains little; a backlog,
// and the levels filestore.Interval and filestore.None, gain most.
package compress
