// Package serialport opens serial lines.
//
// On Linux it sets the line up by itself (termios, and RS-485 direction control
// where the driver has it) and leaves waiting to the runtime's poller, so a read
// costs no thread, wakes up only for data or its deadline, and works with any
// file descriptor. On Windows, macOS, FreeBSD and OpenBSD it uses
// go.bug.st/serial. On other systems Open fails.
package serialport
