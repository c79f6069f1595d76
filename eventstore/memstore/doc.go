// Package memstore keeps events in memory. They survive the loss of the
// platform connection, and not a crash of the process.
//
// A store that Open has opened is saved to a file when it is closed, and goes on
// with what is in the file when it is opened again. The file is as it was until
// then: after a crash, what was saved by the last Close is there once more, and is
// delivered once more.
package memstore
