//go:build !unix

package peer

// Freeze skips the test: this system cannot stop a process.
func (b *Broker) Freeze(bool) { b.t.Skip("this system cannot stop a process") }
