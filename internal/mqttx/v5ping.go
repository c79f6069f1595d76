package mqttx

import (
	"errors"
	"time"
)

// ping says something when nothing was said or heard for the keep-alive time,
// and ends the connection if the broker then says nothing.
func (v *v5) ping() {
	timer := time.NewTimer(v.keepAlive)
	defer timer.Stop()
	for v.sleep(timer, v.keepAlive-v.idle()) {
		if v.idle() < v.keepAlive {
			continue
		}
		asked := time.Since(v.began)
		if !v.write([]byte{packetPingreq << 4, 0}, nil) || !v.sleep(timer, min(v.keepAlive, pingTimeout)) {
			return
		}
		if time.Duration(v.lastRead.Load()) < asked {
			v.conn.Fail(errors.New("mqtt: connection lost: no answer to a ping"))
			return
		}
	}
}

// idle returns how long nothing was sent, or nothing received.
func (v *v5) idle() time.Duration {
	return time.Since(v.began) - time.Duration(min(v.lastSent.Load(), v.lastRead.Load()))
}

// sleep reports whether the connection is still up after d.
func (v *v5) sleep(timer *time.Timer, d time.Duration) bool {
	timer.Reset(d)
	select {
	case <-timer.C:
		return true
	case <-v.conn.done:
		return false
	}
}
