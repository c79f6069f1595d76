package poll

// Wakeups returns how often the lane's goroutine went to sleep.
func (l *Lane) Wakeups() int64 { return l.sleeps.Load() }
