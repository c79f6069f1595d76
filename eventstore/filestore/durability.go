package filestore

// Durability is what Sync waits for, and so what is risked by a record that
// has been acknowledged to its source.
type Durability uint8

// The levels of durability. At each of them a process that crashes or is killed
// loses nothing that Sync has confirmed.
const (
	// Always makes Sync wait until the medium has the records. Nothing that
	// Sync has confirmed is lost in a power cut.
	Always Durability = iota

	// Interval makes Sync wait until the operating system has the records.
	// They are forced to the medium once per SyncInterval, however many there
	// are, which spares flash memory. A power cut or a crash of the operating
	// system loses what was confirmed within the last SyncInterval.
	Interval

	// None is like Interval, but leaves it to the operating system when to
	// write. A power cut loses what it has not written: on Linux usually the
	// last 30 seconds. Close forces the records to the medium.
	None
)
