package ota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// An identity tells one package from another. A package of the same title and
// version with other contents is another.
type identity struct {
	Title     string `json:"title"`
	Version   string `json:"version"`
	Size      int64  `json:"size"`
	Checksum  string `json:"checksum"`
	Algorithm string `json:"algorithm"` // in lower case
	URL       string `json:"url,omitempty"`
}

// An announcement is what the attributes say.
type announcement struct {
	identity
	Tag     string
	problem error // why the package cannot be had
}

// exists reports whether a package is announced at all.
func (a *announcement) exists() bool { return a.Title != "" && a.Version != "" }

// announced returns what the attributes of a kind say. A package that is larger
// than most is a problem.
func announced(kind string, points []telemetry.Point, most int64) announcement {
	var a announcement
	var size telemetry.Value
	for _, p := range points {
		name, ok := strings.CutPrefix(p.Key, kind+"_")
		if !ok || !p.Value.Valid() {
			continue
		}
		switch name {
		case "title":
			a.Title = p.Value.String()
		case "version":
			a.Version = p.Value.String()
		case "tag":
			a.Tag = p.Value.String()
		case "checksum":
			a.Checksum = strings.ToLower(strings.TrimSpace(p.Value.String()))
		case "checksum_algorithm":
			a.Algorithm = strings.ToLower(strings.TrimSpace(p.Value.String()))
		case "url":
			a.URL = strings.TrimSpace(p.Value.String())
		case "size":
			size = p.Value
		}
	}
	a.Size, a.problem = bytesOf(kind, size)
	switch {
	case a.URL != "": // the package is not downloaded
		a.problem = nil
	case a.problem != nil:
	case a.Size > most:
		a.problem = fmt.Errorf("%s_size is %d, and at most %d bytes are downloaded", kind, a.Size, most)
	case a.Checksum == "":
		a.problem = fmt.Errorf("%s_checksum is missing", kind)
	case digests(a.Algorithm) == nil:
		a.problem = fmt.Errorf("%s_checksum_algorithm %q is not known", kind, a.Algorithm)
	}
	return a
}

// bytesOf returns the size of a package, which is not zero unless there is an
// error.
func bytesOf(kind string, v telemetry.Value) (int64, error) {
	n := int64(0)
	var err error
	switch v.Kind() {
	case telemetry.KindNone:
		return 0, fmt.Errorf("%s_size is missing", kind)
	case telemetry.KindInt:
		n = v.Int()
	case telemetry.KindFloat, telemetry.KindFloat32:
		const exact = 1 << 53 // doubles below are exact
		if f := v.Float(); f > 0 && f < exact && f == float64(int64(f)) {
			n = int64(f)
		}
	default:
		n, err = strconv.ParseInt(v.String(), 10, 64)
	}
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s_size is not a number of bytes", kind)
	}
	return n, nil
}

// attributeKeys returns the attributes that announce packages of a kind.
func attributeKeys(kind string) []string {
	names := []string{"title", "version", "tag", "size", "checksum", "checksum_algorithm", "url"}
	for i := range names {
		names[i] = kind + "_" + names[i]
	}
	return names
}

// An inbox takes the changes of attributes. Those say only that there is
// something to read: what counts is read as a whole.
type inbox struct {
	keys    []string      // of attributeKeys: first the title, then the version
	changed chan struct{} // holds a token if something has changed

	mu        sync.Mutex
	seen      bool     // something was read
	known     identity // that was read last
	withdrawn bool     // something has replaced it since
}

func newInbox(kind string) *inbox {
	return &inbox{keys: attributeKeys(kind), changed: make(chan struct{}, 1)}
}

// notify is told of changes by the platform.
func (b *inbox) notify(points []telemetry.Point, deleted []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	relevant := false
	for _, key := range deleted {
		relevant = relevant || slices.Contains(b.keys, key)
		b.rename(key, "")
	}
	for _, p := range points {
		relevant = relevant || slices.Contains(b.keys, p.Key)
		b.rename(p.Key, p.Value.String())
	}
	if relevant {
		b.wake()
	}
}

// rename notes that an attribute has a value, if that withdraws what is known.
// It is called with b.mu held.
func (b *inbox) rename(key, value string) {
	if key == b.keys[0] && value != b.known.Title || key == b.keys[1] && value != b.known.Version {
		b.withdrawn = true
	}
}

// wake has the attributes read.
func (b *inbox) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// read notes what was read, and reports whether the package that was read before
// has been withdrawn meanwhile, be it to be announced again.
func (b *inbox) read(id identity) (withdrawn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	withdrawn = b.seen && (b.withdrawn || id != b.known)
	b.seen, b.known, b.withdrawn = true, id, false
	return withdrawn
}
