package ftp

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A pattern is a compiled Path.Pattern.
type pattern struct {
	text     string
	absolute bool
	segments []segment
}

// A segment is one name of a pattern.
type segment struct {
	name string
	wild *regexp.Regexp // nil: it is the name as it is
}

func compilePattern(text string) (pattern, error) {
	p := pattern{text: text, absolute: strings.HasPrefix(text, "/")}
	for name := range strings.SplitSeq(text, "/") {
		switch {
		case name == "" || name == ".":
		case name == "..":
			return p, fmt.Errorf("path: %q leads out of its folder", text)
		case strings.ContainsAny(name, "\r\n\x00"):
			return p, fmt.Errorf("path: %q has a character that no name can have", text)
		case strings.ContainsAny(name, "*?"):
			quoted := regexp.QuoteMeta(name)
			quoted = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(quoted)
			re, err := regexp.Compile(`(?s)^` + quoted + `$`)
			if err != nil {
				return p, fmt.Errorf("path: %w", err)
			}
			p.segments = append(p.segments, segment{name, re})
		default:
			p.segments = append(p.segments, segment{name: name})
		}
	}
	if len(p.segments) == 0 {
		return p, errors.New("path: is missing")
	}
	return p, nil
}

func (s segment) match(name string) bool {
	if s.wild != nil {
		return s.wild.MatchString(name)
	}
	return s.name == name
}

// A remote is a file that was found.
type remote struct {
	path string
	size int64
	time time.Time
}

// find returns the files that match. Folders that the server refuses to list are
// passed over, and are the error if nothing else is found.
func (p pattern) find(ctx context.Context, s Session) ([]remote, error) {
	folders := []string{""}
	if p.absolute {
		folders[0] = "/"
	}
	var refused error
	for _, seg := range p.segments[:len(p.segments)-1] {
		var below []string
		for _, folder := range folders {
			if seg.wild == nil {
				below = append(below, path.Join(folder, seg.name))
				continue
			}
			entries, err := list(ctx, s, folder, &refused)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if (e.Folder || e.Link) && seg.match(e.Name) {
					below = append(below, path.Join(folder, e.Name))
				}
			}
		}
		folders = below
	}
	var found []remote
	for _, folder := range folders {
		files, err := p.files(ctx, s, folder, &refused)
		if err != nil {
			return nil, err
		}
		found = append(found, files...)
	}
	if len(found) == 0 {
		return nil, refused
	}
	return found, nil
}

// files returns the files of a folder that match the last segment.
func (p pattern) files(ctx context.Context, s Session, folder string, refused *error) ([]remote, error) {
	entries, err := list(ctx, s, folder, refused)
	if err != nil {
		return nil, err
	}
	var found []remote
	last := p.segments[len(p.segments)-1]
	for _, e := range entries {
		if e.Folder || !last.match(e.Name) || kindOf(e.Name) == noKind {
			continue
		}
		full := path.Join(folder, e.Name)
		exact, err := s.Stat(ctx, full, e)
		switch {
		case err == nil:
			found = append(found, remote{full, exact.Size, exact.Time})
		case !isRefusal(err):
			return nil, fmt.Errorf("file %q: %w", full, err)
		case !e.Link: // one may lead to a folder, or nowhere
			*refused = errors.Join(*refused, fmt.Errorf("file %q: %w", full, err))
		}
	}
	return found, nil
}

// list lists a folder without the names that lead out of it.
func list(ctx context.Context, s Session, folder string, refused *error) ([]Entry, error) {
	entries, err := s.List(ctx, folder)
	if err != nil {
		err = fmt.Errorf("folder %q: %w", folder, err)
		if !isRefusal(err) {
			return nil, err
		}
		*refused = errors.Join(*refused, err)
	}
	return slices.DeleteFunc(entries, func(e Entry) bool {
		return e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\r\n\x00")
	}), nil
}

func isRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}
