// Package filestore keeps events in segment files. They survive a crash of the
// process and, once synced, a loss of power.
//
// A record costs one copy into memory. Nothing is written until somebody waits
// for it, SyncInterval passes or half a megabyte has gathered, and everybody who
// waits at that moment shares one sync. A store to which nothing happens does
// nothing: it has no goroutine and no timer.
//
// # Durability
//
// Sync waits for what Config.Durability says. At the level Always that is the
// medium; at Interval and None it is the operating system, so that a process that
// is killed loses nothing, and a loss of power what was confirmed within the last
// SyncInterval (Interval), or what the operating system had not written (None).
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
// oldest segments are deleted. Damaged files that are kept aside are deleted
// first. The store tries again every SyncInterval, and goes on without a restart.
//
// # A failing medium
//
// What a file holds is unknown once a sync of it has failed, and a second sync
// that succeeds says nothing about what the first one should have written. The
// store therefore keeps each record in memory until it is durable. A sync that
// fails fails for everybody who waits for it; its file is given up, and all
// that is not durable is written again to a new one. A Sync that returns nil
// later is true because that rewrite succeeded, and never on the word of a file
// whose sync has failed. At the levels Interval and None the records are given out
// of hand when they are written; after a failure the store confirms nothing until
// the medium has taken a record.
//
// At most 8 MiB of records wait to become durable. Beyond that Append waits for
// the medium or, if the medium is failing and the policy is not
// eventstore.Block, fails with an error that wraps eventstore.ErrFull.
//
// A medium that has become read-only, a folder that is gone or closed, and one
// without permissions are failures like any other: Append takes records until
// 8 MiB wait, Sync fails with the cause, Peek goes on with what it can read and
// waits for the rest, and all of it works again within SyncInterval after the
// cause has gone. The folder has to be the same one: a store does not begin anew
// in a folder that has taken its place, such as an empty mount point.
//
// A medium that does not answer holds up neither the end of a context nor, for
// longer than CloseTimeout, Close. Open waits for it.
//
// The log tells once when the medium begins to fail and once when it works again;
// Condition tells at any time.
//
// # Damage
//
// Each record carries a checksum of its length, offset and contents. Open
// removes a record at the end that a crash has left incomplete. A damaged record
// elsewhere is skipped, logged and counted in Stats.Dropped; those around it are
// read. What cannot be read at all is tried again, and is taken for damaged only if
// the medium can be written to. A damaged file is not deleted when its
// records are delivered but kept as "*.seg.damaged", within DamagedBytes. Look
// shows what the files hold, and Repair writes damaged ones anew; the command
// eventstore/inspect offers both.
//
// # Files
//
// A segment file is named by the offset of its first record, in 20 digits, and
// ".seg". All numbers are little-endian. It starts with a header of 20 bytes:
// the magic "GLES", the format version (4 bytes), the offset of the first
// record (8) and the CRC-32C of the 16 bytes before (4). Each record follows the
// one before: a CRC-32C (4), the length of the data (4), the lower half of
// the offset (4), and the data. The checksum covers all that follows it, and
// starts from the upper half of the offset. A segment ends where the offsets of
// the next one begin, whatever it holds beyond.
//
// A segment that is neither compressed nor encrypted has the format version 1. In
// version 2 the header goes on with the ID of the key (8 bytes, padded with zeros), 8
// bytes that tell that key from others, the name of the codec (8) and the CRC-32C
// of these 24 bytes (4). Instead of records there may be containers: a record
// whose length has its highest bit set, and whose data are flags (1 byte; 1
// compressed, 2 encrypted), the number (4) and the size (4) of the records in it,
// if it is encrypted a nonce (24), and the records as they would be in version 1,
// compressed first and then encrypted with XAES-256-GCM. The offset is that of the
// first record; it and the 9 bytes are authenticated too. The keys for encryption
// and for the 8 bytes are derived from the secret with HKDF-SHA-256 and the texts
// "filestore records" and "filestore key check".
//
// The file "cursor" holds the magic "GLEC", the version 1, the offset up to
// which records are released, and a CRC-32C, in the layout of the segment
// header. Without it, or if it is damaged, reading starts at the oldest record.
// The file "lock" is empty; the store that has the folder open has locked it.
package filestore
