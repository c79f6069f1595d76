// Package filestore keeps events in segment files. They survive a crash of the
// process and, once synced, a loss of power.
//
// A record costs one copy into memory. Nothing is forced to the medium until
// somebody waits for it, SyncInterval passes or half a megabyte has gathered, and
// everybody who waits at that moment shares one sync. A store to which nothing
// happens does nothing: it has no goroutine and no timer.
//
// # Reading
//
// A record can be read as soon as it is appended, also before it is durable. A
// reader that keeps up is served from memory and touches no file.
//
// # A full medium
//
// A medium without room is treated as a store that is full: under
// eventstore.Block Append and Sync wait, under eventstore.Reject they fail with
// an error that wraps eventstore.ErrFull, and under eventstore.DropOldest the
// oldest segments are deleted. The store tries again every SyncInterval, and
// goes on without a restart.
//
// # A failing medium
//
// What a file holds is unknown once a sync of it has failed, and a second sync
// that succeeds says nothing about what the first one should have written. The
// store therefore keeps each record in memory until it is durable. A sync that
// fails fails for everybody who waits for it; its file is given up, and all
// that is not durable is written again to a new one. A Sync that returns nil
// later is true because that rewrite succeeded, and never on the word of a file
// whose sync has failed.
//
// At most 8 MiB of records wait to become durable. Beyond that Append waits for
// the medium or, if the medium is failing and the policy is not
// eventstore.Block, fails with an error that wraps eventstore.ErrFull.
//
// # Damage
//
// Each record carries a checksum of its length, offset and contents. Open
// removes a record at the end that a crash has left incomplete. A damaged record elsewhere
// is skipped, logged and counted in Stats.Dropped; those around it are read.
//
// # Files
//
// A segment file is named by the offset of its first record, in 20 digits, and
// ".seg". All numbers are little-endian. It starts with a header of 20 bytes:
// the magic "GLES", the format version 1 (4 bytes), the offset of the first
// record (8) and the CRC-32C of the 16 bytes before (4). Each record follows the
// one before: a CRC-32C (4), the length of the data (4), the lower half of
// the offset (4), and the data. The checksum covers all that follows it, and
// starts from the upper half of the offset. A segment ends where the offsets of
// the next one begin, whatever it holds beyond.
//
// The file "cursor" holds the magic "GLEC", the version 1, the offset up to
// which records are released, and a CRC-32C, in the layout of the segment
// header. Without it, or if it is damaged, reading starts at the oldest record.
package filestore
