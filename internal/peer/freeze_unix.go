//go:build unix

package peer

import "syscall"

// Freeze stops the broker with its connections open, as a host that hangs does,
// or lets it go on.
func (b *Broker) Freeze(on bool) {
	b.t.Helper()
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	must(b.t, b.cmd.Process.Signal(signal))
}
