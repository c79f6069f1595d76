package expr

// Len returns the number of strings that in holds.
func (in *Interner) Len() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.seen)
}

// Repr returns what Python's repr makes of o.
func Repr(o Operand) string { return string(o.appendRepr(nil)) }

// Limits of an evaluation.
const (
	MaxText  = maxText
	MaxItems = maxItems
	MaxBits  = maxBits
)

// StrictPath returns the error of a text that is not a path of jsonpath_rw.
func StrictPath(text string) error {
	_, err := parsePath(text, false)
	return err
}
