package expr

import "sync"

// Bounds of an Interner. Longer strings are hardly ever repeated.
const (
	internLength  = 64
	internEntries = 4096
)

// An Interner turns bytes into strings and remembers short ones, so that a
// string that comes again costs no memory. It holds a bounded number of them.
// The zero Interner is ready to use, a nil one remembers nothing, and it is
// safe for concurrent use.
type Interner struct {
	mu   sync.RWMutex
	seen map[string]string
}

// String returns b as a string. It does not retain b.
func (in *Interner) String(b []byte) string {
	if in == nil || len(b) > internLength || len(b) == 0 {
		return string(b)
	}
	in.mu.RLock()
	s, ok := in.seen[string(b)]
	in.mu.RUnlock()
	if ok {
		return s
	}
	return in.add(string(b))
}

func (in *Interner) add(s string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.seen == nil || len(in.seen) >= internEntries {
		in.seen = make(map[string]string)
	}
	in.seen[s] = s
	return s
}
