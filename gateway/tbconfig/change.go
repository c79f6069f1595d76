package tbconfig

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"
)

// errOlder is the error of a configuration from the platform that is older than
// the file that it would replace.
var errOlder = errors.New("it is older than the file, which is in effect")

// writing returns a change of files of the folder.
func (s *Service) writing() *writing {
	w := &writing{dir: s.dir, now: time.Now, create: s.create}
	if w.create == nil {
		w.create = writeTemp
	}
	return w
}

// changedSum notes the content of a file, and reports whether it is another one
// than at the last call.
func (s *Service) changedSum(path string, raw []byte) bool {
	now := sum(sha256.Sum256(raw))
	before, known := s.sums[path]
	s.sums[path] = now
	return !known || before != now
}

// noteSum notes the content of a file that this Service has written.
func (s *Service) noteSum(path string) {
	if raw, err := readText(path); err == nil {
		s.sums[path] = sha256.Sum256(raw)
	}
}

// modified returns when the file at path was changed, in milliseconds since 1970.
func modified(path string) json.RawMessage {
	var ms int64
	if info, err := os.Stat(path); err == nil {
		ms = info.ModTime().UnixMilli()
	}
	return strconv.AppendInt(nil, ms, 10)
}

// stampOf returns the time "ts" of a configuration from the platform; zero if it
// has none. The file that is written from it gets that time, so that a later
// configuration is later whatever the two clocks say.
func stampOf(fields map[string]json.RawMessage) time.Time {
	ms, err := json.Number(fields["ts"]).Int64()
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// olderThanFile reports whether a configuration from the platform is older than
// the file at path.
func olderThanFile(fields map[string]json.RawMessage, path string) bool {
	stamp := stampOf(fields)
	info, err := os.Stat(path)
	return err == nil && !stamp.IsZero() && stamp.Before(info.ModTime().Truncate(time.Millisecond))
}

// laterOf returns the later one of a time and that of the file at path; zero if
// the time is.
func laterOf(stamp time.Time, path string) time.Time {
	if info, err := os.Stat(path); err == nil && !stamp.IsZero() && info.ModTime().After(stamp) {
		return info.ModTime()
	}
	return stamp
}
