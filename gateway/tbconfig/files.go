package tbconfig

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// defaultCheck is how often the files are looked at besides.
const defaultCheck = time.Minute

// watchFiles puts a token into changed when a file of the folder may have changed
// and has been left alone for a while. Where the system does not tell of changes,
// the files are looked at from time to time.
func (s *Service) watchFiles(ctx context.Context, changed chan<- struct{}) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = w.Close() }()
		err = w.Add(s.dir)
	}
	events, errs := make(chan fsnotify.Event), make(chan error)
	if err != nil {
		s.log.Warn("the system does not tell when files of the configuration change, they are looked at from time to time", "folder", s.dir, "error", err)
	} else {
		events, errs = w.Events, w.Errors
	}
	quiet := time.NewTimer(0) // what has changed before is looked at first
	poll := time.NewTimer(s.checkEvery())
	defer quiet.Stop()
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if !isState(filepath.Base(e.Name)) && e.Op != fsnotify.Chmod {
				quiet.Reset(s.cfg.Debounce)
			}
			continue
		case err := <-errs:
			s.log.Debug("watching the files of the configuration", "error", err)
			continue // the poll finds what is missed
		case <-quiet.C:
		case <-poll.C:
			poll.Reset(s.checkEvery())
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// isState reports whether a file in the folder is one that programs write and
// that is no configuration.
func isState(name string) bool {
	return strings.HasPrefix(name, devicesFile) || strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "..") ||
		strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".swp")
}

// checkEvery returns how often the files are looked at.
func (s *Service) checkEvery() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.file.ThingsBoard.CheckSeconds
	switch {
	case n == nil:
		return defaultCheck
	case *n <= 0:
		return 1 << 62 // never
	default:
		return time.Duration(*n) * time.Second
	}
}

// readFiles brings into effect what has changed in the files. What is wrong with
// one file, or section, leaves what was in effect before, and harms no other.
func (s *Service) readFiles(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := readText(s.path)
	if err != nil {
		s.report(FileName, err)
		return
	}
	entries := s.file.Connectors
	if s.changedSum(s.path, raw) || s.problems[FileName] != "" {
		next, err := s.readMain(raw)
		s.report(FileName, err, raw)
		if err == nil {
			s.readSections(ctx, next)
			entries = next.Connectors
		}
	}
	s.readLogs()
	s.readStatistics()
	s.setFilter()
	s.readConnectors(ctx, entries)
	s.announce()
}

// readMain reads tb_gateway.json.
func (s *Service) readMain(raw []byte) (File, error) {
	doc, err := parseDocument(s.path, raw)
	if err != nil {
		return File{}, err
	}
	next, err := doc.file(s.path, s.cfg.Getenv)
	if err != nil {
		return next, err
	}
	s.doc = doc
	return next, nil
}

// readSections brings the sections of tb_gateway.json into effect.
func (s *Service) readSections(ctx context.Context, next File) {
	section := func(name string, apply func() error) {
		content := canonical(s.doc[name])
		if s.wasRejected(name, content) {
			return
		}
		err := apply()
		s.reject(name, content, err)
		s.report(FileName+": "+name, err, s.doc[name])
	}
	section("storage", func() error {
		_, err := s.applyStorage(ctx, next.Storage)
		return err
	})
	section("thingsboard", func() error {
		taken, err := s.applyThingsBoard(ctx, next)
		if err != nil {
			taken.undo()
		}
		return err
	})
	s.file.Connectors, s.file.GRPC = next.Connectors, next.GRPC
	warnIgnored(next.ignored(s.cfg.RemoteShell != nil), s.log)
}

// readConnectors brings the connectors of a list into effect, as far as they or
// their files have changed, and removes those that are not in the list.
func (s *Service) readConnectors(ctx context.Context, entries []Entry) {
	seen := make(map[string]bool, len(entries))
	for _, p := range s.place(entries) {
		seen[p.name] = true
		old := s.placed[p.name]
		if old != nil && old.same(p) {
			delete(s.rejected, p.name)
			s.report(inFile(p.name), nil)
			continue
		}
		if s.wasRejected(p.name, p.identity()) {
			continue
		}
		err := s.run(ctx, p)
		s.reject(p.name, p.identity(), err)
		s.report(inFile(p.name), err, p.raw)
	}
	for _, name := range slices.Sorted(maps.Keys(s.placed)) {
		if !seen[name] {
			s.remove(name)
		}
	}
	s.setLevels()
}

// wasRejected reports whether a part of the files has a content that was tried and
// did not work. It is not tried again: that may cost the part a pause.
func (s *Service) wasRejected(part, content string) bool {
	before, ok := s.rejected[part]
	return ok && before == content
}

// reject notes whether a content of a part did not work.
func (s *Service) reject(part, content string, err error) {
	delete(s.rejected, part)
	if err != nil {
		s.rejected[part] = content
	}
}

// backupAll keeps a backup of the files as they are now, if there is not one yet.
// Without remote configuration nobody changes them from here.
func (s *Service) backupAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unwatch == nil {
		return
	}
	w := s.writing()
	paths := []string{s.path}
	for _, p := range s.placed {
		if p.Configuration != "" {
			paths = append(paths, resolve(s.dir, p.Configuration))
		}
	}
	var errs []error
	for _, path := range paths {
		if raw, err := readText(path); err == nil {
			errs = append(errs, w.backup(path, raw))
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Warn("configuration files are not backed up", "error", err)
	}
}
