package filestore

import (
	"strings"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// asideSuffix ends the names of damaged segments that are kept aside.
const asideSuffix = segmentSuffix + ".damaged"

// trash is a file that the store does not need any more.
type trash struct {
	name    string
	damaged bool // to be kept aside
}

// discard removes t or puts it aside.
func (m *medium) discard(t trash) error {
	if !t.damaged {
		return m.dir.Remove(t.name)
	}
	return m.dir.Rename(t.name, asideName(t.name))
}

func asideName(segment string) string {
	return strings.TrimSuffix(segment, segmentSuffix) + asideSuffix
}

// isAside reports whether name is the one of a damaged segment that is kept.
func isAside(name string) bool {
	base, found := strings.CutSuffix(name, asideSuffix)
	if !found {
		return false
	}
	_, ok := parseSegmentName(base + segmentSuffix)
	return ok
}

// An aside is what is kept of damaged segments, oldest first.
type aside []disk.Entry

func (a aside) size() (sum int64) {
	for _, e := range a {
		sum += e.Size
	}
	return sum
}

// keepAside lists the damaged segments and removes the oldest until the rest
// has no more than limit bytes.
func keepAside(d disk.Dir, limit int64) (aside, error) {
	entries, err := d.List()
	if err != nil {
		return nil, err
	}
	var kept aside
	for _, e := range entries { // their names are in the order of their age
		if isAside(e.Name) {
			kept = append(kept, e)
		}
	}
	for size := kept.size(); len(kept) > 0 && size > limit; kept = kept[1:] {
		if err := d.Remove(kept[0].Name); err != nil {
			return kept, err
		}
		size -= kept[0].Size
	}
	return kept, nil
}
