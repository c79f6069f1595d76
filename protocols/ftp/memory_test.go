package ftp_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/ftp"
)

// A memory is a server whose files are in memory.
type memory struct {
	mu    sync.Mutex
	files map[string]stored
	reads []string
	dials int
	down  bool // sessions break
}

type stored struct {
	data string
	at   time.Time
}

func newMemory() *memory { return &memory{files: make(map[string]stored)} }

var clock = time.Unix(1_700_000_000, 0).UTC()

// put stores a file whose time is some minutes after the start.
func (m *memory) put(name, data string, minutes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = stored{data, clock.Add(time.Duration(minutes) * time.Minute)}
}

func (m *memory) get(name string) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	return f.data, ok
}

func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// taken returns which files were read since the last call.
func (m *memory) taken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.reads = nil }()
	return m.reads
}

func (m *memory) Dial(ctx context.Context) (ftp.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dials++
	return &memorySession{m: m}, m.broken(ctx)
}

func (m *memory) broken(ctx context.Context) error {
	if m.down {
		return errors.New("connection reset")
	}
	return ctx.Err()
}

type memorySession struct{ m *memory }

var _ ftp.Session = (*memorySession)(nil)

var errNone = &ftp.Refusal{Code: 550, Text: "No such file or directory."}

func (s *memorySession) List(ctx context.Context, folder string) ([]ftp.Entry, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.broken(ctx); err != nil {
		return nil, err
	}
	seen := make(map[string]ftp.Entry)
	for name, f := range s.m.files {
		rest := name
		if folder != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(name, strings.TrimSuffix(folder, "/")+"/"); !ok {
				continue
			}
		}
		first, _, deeper := strings.Cut(rest, "/")
		seen[first] = ftp.Entry{Name: first, Folder: deeper, Size: int64(len(f.data)), Time: f.at}
	}
	var list []ftp.Entry
	for _, e := range seen {
		list = append(list, e)
	}
	return list, nil
}

func (s *memorySession) Stat(ctx context.Context, name string, e ftp.Entry) (ftp.Entry, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.broken(ctx); err != nil {
		return e, err
	}
	f, ok := s.m.files[name]
	if !ok {
		return e, errNone
	}
	e.Size, e.Time = int64(len(f.data)), f.at
	return e, nil
}

func (s *memorySession) Read(ctx context.Context, name string, offset, limit int64) ([]byte, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.broken(ctx); err != nil {
		return nil, err
	}
	s.m.reads = append(s.m.reads, name)
	f, ok := s.m.files[name]
	if !ok {
		return nil, errNone
	}
	data := f.data[min(int(offset), len(f.data)):]
	if int64(len(data)) > limit {
		return nil, errors.New("too long")
	}
	return []byte(data), nil
}

func (s *memorySession) Write(ctx context.Context, name string, data []byte, appends bool) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.broken(ctx); err != nil {
		return err
	}
	if folder := path.Dir(name); folder != "." && !s.m.has(folder) {
		return errNone
	}
	old := ""
	if appends {
		old = s.m.files[name].data
	}
	s.m.files[name] = stored{old + string(data), clock.Add(time.Hour)}
	return nil
}

func (m *memory) has(folder string) bool {
	for name := range m.files {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return false
}

func (s *memorySession) Rename(ctx context.Context, from, to string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	f, ok := s.m.files[from]
	if !ok {
		return errNone
	}
	delete(s.m.files, from)
	s.m.files[to] = f
	return s.m.broken(ctx)
}

func (s *memorySession) Delete(ctx context.Context, name string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if _, ok := s.m.files[name]; !ok {
		return errNone
	}
	delete(s.m.files, name)
	return s.m.broken(ctx)
}

func (s *memorySession) Close() error { return nil }
