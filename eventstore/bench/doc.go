// Package bench compares package filestore with what the disk itself can do, and
// with two databases that do the same job. It is a module of its own, so that the
// databases are nobody's dependencies.
//
//	cd eventstore/bench && go test -bench . -benchtime 1x
//
// Each figure is a ratio of two measurements that alternate in one run, so that it
// means the same on another disk: "x-raw" is how much of what the plain system
// calls achieve the store achieves, "x-bbolt" and "x-sqlite" how many times the
// database it is. The folder is the one that TMPDIR names, which should be on the
// disk in question and not in memory.
package bench
