package ftp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

// A fileState is what was delivered of a file.
type fileState struct {
	Size int64 `json:"size"` // of the file as it was delivered last
	Time int64 `json:"time"` // of it, in Unix milliseconds

	// Of a path that is partial: the file is delivered up to Offset. Check is the
	// hash of the Bytes before it, Header the first line of a table, and Line
	// the hash of an unfinished line at Offset that was delivered too.
	Offset int64  `json:"offset,omitempty"`
	Check  string `json:"check,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"` // that Check is of
	Header string `json:"header,omitempty"`
	Line   string `json:"line,omitempty"`

	Open *delivery `json:"open,omitempty"` // what is being delivered

	Last   int64 `json:"last,omitempty"`   // latest time that was given to a row, in Unix milliseconds
	Faulty bool  `json:"faulty,omitempty"` // something of it could not be converted: it stays where it is

	Missing int64 `json:"missing,omitempty"` // when the file was not there any more, in Unix milliseconds
}

// A delivery is the bytes of a file that are being delivered.
type delivery struct {
	From int64  `json:"from"`
	End  int64  `json:"end"`
	Hash string `json:"hash"` // of these bytes
	Base int64  `json:"base"` // time of the first row, in Unix milliseconds
	Rows int    `json:"rows"` // that are durable
	Size int64  `json:"size"` // of the file then
	Time int64  `json:"time"`
}

// A journal holds the states of files by path entry and path. It is a file of lines
// of JSON, of which a later one counts, and which is written anew when it has grown.
type journal struct {
	name   string // empty: nothing is written
	server string

	mu     sync.Mutex
	states map[string]*fileState
	file   *os.File
	lines  int
}

// A journalLine is a line. The first one has the server only.
type journalLine struct {
	Server string     `json:"server,omitempty"`
	Key    string     `json:"file,omitempty"`
	State  *fileState `json:"state,omitempty"` // nil: it is forgotten
}

// openJournal reads the journal. What was written for another server does not count,
// nor does a line that was not finished when the power was lost.
func openJournal(name, server string) (*journal, error) {
	j := &journal{name: name, server: server, states: make(map[string]*fileState)}
	if name == "" {
		return j, nil
	}
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state: %w", err)
	}
	j.read(data)
	if err := j.rewrite(); err != nil {
		return nil, err
	}
	return j, nil
}

// read takes the lines of data as far as they can be read.
func (j *journal) read(data []byte) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<24)
	ours := false
	for lines.Scan() {
		var line journalLine
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch {
		case line.Server != "":
			ours = line.Server == j.server
		case !ours || line.Key == "":
		case line.State == nil:
			delete(j.states, line.Key)
		default:
			j.states[line.Key] = line.State
		}
	}
}

// get returns a copy of the state of a file.
func (j *journal) get(key string) (fileState, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.states[key]; s != nil {
		return *s, true
	}
	return fileState{}, false
}

// last returns the latest time that was given to a row.
func (j *journal) last() (ms int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.states {
		ms = max(ms, s.Last)
		if s.Open != nil {
			ms = max(ms, s.Open.Base+int64(s.Open.Rows))
		}
	}
	return ms
}

// put notes a state. It is on the medium when put returns if durable is set, and
// otherwise in the hands of the operating system.
func (j *journal) put(key string, s *fileState, durable bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s == nil {
		delete(j.states, key)
	} else {
		kept := *s
		j.states[key] = &kept
	}
	if j.name == "" {
		return nil
	}
	if j.lines > 2*len(j.states)+1000 || j.file == nil {
		return j.rewrite()
	}
	line, err := json.Marshal(journalLine{Key: key, State: s})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	_, err = j.file.Write(append(line, '\n'))
	if err == nil && durable {
		err = j.file.Sync()
	}
	if err != nil {
		_ = j.file.Close()
		j.file = nil // the next put writes all of it anew
		return fmt.Errorf("state: %w", err)
	}
	j.lines++
	return nil
}

// rewrite replaces the file by one with a line for each state.
func (j *journal) rewrite() error {
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if err := enc.Encode(journalLine{Server: j.server}); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	for key, s := range j.states {
		if err := enc.Encode(journalLine{Key: key, State: s}); err != nil {
			return fmt.Errorf("state: %w", err)
		}
	}
	if err := atomicfile.Write(j.name, b.Bytes()); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	f, err := os.OpenFile(filepath.Clean(j.name), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	j.file, j.lines = f, len(j.states)
	return nil
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		_ = j.file.Sync()
		_ = j.file.Close()
		j.file = nil
	}
}

// remembered is how long the state of a file that is no more is kept: a server that
// has lost a medium for a while does not make the gateway send everything again.
const remembered = 30 * 24 * time.Hour

// forget notes which files of a path entry are not there any more, and drops those
// that have been gone for long.
func (j *journal) forget(prefix string, there map[string]bool, now time.Time) error {
	j.mu.Lock()
	changed := make(map[string]*fileState)
	for key, s := range j.states {
		path, ours := strings.CutPrefix(key, prefix)
		if !ours || there[path] && s.Missing == 0 {
			continue
		}
		next := *s
		switch {
		case there[path]:
			next.Missing = 0
			changed[key] = &next
		case s.Missing == 0:
			next.Missing = now.UnixMilli()
			changed[key] = &next
		case now.Sub(time.UnixMilli(s.Missing)) > remembered:
			changed[key] = nil
		}
	}
	j.mu.Unlock()
	var errs []error
	for key, s := range changed {
		errs = append(errs, j.put(key, s, false))
	}
	return errors.Join(errs...)
}
