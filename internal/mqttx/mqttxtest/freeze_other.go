//go:build !unix

package mqttxtest

// Freeze skips the test: this system cannot stop a process.
func (b *Broker) Freeze(bool) { b.t.Skip("this system cannot stop a process") }
