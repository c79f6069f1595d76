package poll

import "errors"

var (
	// ErrStopped is returned by [Lane.Do] when the lane is not running.
	ErrStopped = errors.New("poll: not running")

	// ErrBusy is returned by [Lane.Do] when too many commands wait already.
	ErrBusy = errors.New("poll: too many commands are waiting")

	errRunning = errors.New("poll: lane is running already")
)

type downError struct{ err error }

func (e downError) Error() string { return e.err.Error() }
func (e downError) Unwrap() error { return e.err }

// Down marks err as the failure of the medium rather than of the device that was
// polled, such as a lost connection. Down(nil) is nil.
func Down(err error) error {
	if err == nil {
		return nil
	}
	return downError{err}
}

// IsDown reports whether err, or an error that it wraps, is [Down].
func IsDown(err error) bool {
	if err == nil {
		return false // errors.As would allocate its target
	}
	var d downError
	return errors.As(err, &d)
}
