package mqttx

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A wire is the link under Paho. Paho bounds the time of writing a publication,
// but not that of a ping or an acknowledgement, and reports the end of a
// connection only when all its goroutines have come to rest. A wire bounds every
// write, and ends its Conn when Paho closes it, by which time Paho has acted on
// all that was read before, or a second after an error if Paho does not come to
// that.
type wire struct {
	link
	owner   *Conn
	timeout time.Duration

	writing sync.Mutex // Paho pings from a goroutine of its own
	once    sync.Once
	reason  atomic.Pointer[error] // the first error
}

// fail remembers the first error.
func (w *wire) fail(err error) {
	w.once.Do(func() {
		err = lost(err)
		w.reason.Store(&err)
		time.AfterFunc(time.Second, func() { w.owner.end(err) })
	})
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail(err)
		w.cut()
	}
	return n, err
}

// SetWriteDeadline does nothing: Write sets its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close is called by Paho, first of all if a ping was not answered or if what
// was read is not MQTT.
func (w *wire) Close() error {
	if reason := w.reason.Load(); reason != nil {
		w.owner.end(*reason)
	}
	w.owner.end(errors.New("mqtt: connection lost: no answer to a ping, or a malformed packet"))
	w.cut()
	return nil
}

var _ net.Conn = (*wire)(nil)
