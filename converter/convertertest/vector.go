package convertertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Vector is one golden vector. Its fields are those of the file.
type Vector struct {
	File string          `json:"-"` // the file's name without ".json"
	Raw  json.RawMessage `json:"-"` // the whole file, for members that only one suite knows

	Name      string
	Connector string
	Kind      string
	Config    json.RawMessage
	Input     json.RawMessage
	Expected  json.RawMessage // nil in a table
	Cases     json.RawMessage // of a table; nil otherwise
	NowMs     int64           // Unix milliseconds; zero: the vector has no clock
	Note      string

	Quirk       string
	Status      string
	Recommended json.RawMessage
}

// Quirky reports whether Expected was recorded and should not be copied.
func (v *Vector) Quirky() bool { return v.Quirk != "" || v.Status == "reference-bug" }

// table reports whether v holds several cases that its suite compares.
func (v *Vector) table() bool { return v.Expected == nil && v.Cases != nil }

// parse reads a vector. It does not require a result: the file may be the
// configuration that others share.
func parse(file string, raw []byte) (*Vector, error) {
	v := &Vector{}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '[' {
		v.Cases = trimmed
	} else if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("convertertest: %s: %w", file, err)
	}
	v.File, v.Raw = file, raw
	return v, nil
}

// read returns the vectors of a folder whose file names match the pattern, in
// the order of their names.
func read(dir, pattern string) ([]*Vector, error) {
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, fmt.Errorf("convertertest: pattern %q: %w", pattern, err)
	}
	var vectors []*Vector
	shared := make(map[string]bool) // configurations that others refer to
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("convertertest: %w", err)
		}
		v, err := parse(strings.TrimSuffix(filepath.Base(path), ".json"), raw)
		if err != nil {
			return nil, err
		}
		name, err := v.resolve(dir)
		if err != nil {
			return nil, err
		}
		shared[name] = true
		vectors = append(vectors, v)
	}
	return results(vectors, shared)
}

// resolve replaces a configuration that is the name of a file by its contents,
// and returns that name.
func (v *Vector) resolve(dir string) (string, error) {
	var name string
	if json.Unmarshal(v.Config, &name) != nil || !strings.HasSuffix(name, ".json") || name != filepath.Base(name) {
		return "", nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("convertertest: the configuration of %s: %w", v.File, err)
	}
	v.Config = raw
	return name, nil
}

// results drops the configurations that others share. Whatever else has no
// result is an error.
func results(vectors []*Vector, shared map[string]bool) ([]*Vector, error) {
	var kept []*Vector
	var problems []error
	for _, v := range vectors {
		switch {
		case v.Expected != nil || v.Cases != nil:
			kept = append(kept, v)
		case !shared[v.File+".json"]:
			problems = append(problems, fmt.Errorf("convertertest: %s has neither expected nor cases", v.File))
		}
	}
	return kept, errors.Join(problems...)
}
