package tbconfig

import "syscall"

// FillDisk makes writes of s fail as they do on a full disk.
func FillDisk(s *Service, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create = nil
	if on {
		s.create = func(string, []byte) (string, error) { return "", syscall.ENOSPC }
	}
}
