package disk

import "errors"

// errLocked is why lockFile fails while another store holds the lock.
var errLocked = errors.New("another store has it open")
