// Package memstore keeps events in memory. They survive the loss of the
// platform connection, and not the end of the process.
package memstore
