package expr

// Len returns the number of strings that in holds.
func (in *Interner) Len() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.seen)
}
