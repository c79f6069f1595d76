package meter

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Names of profiles that code often names. [Names] lists all of them.
const (
	ADW300 = "acrel-adw300"   // Acrel ADW300, three phases, and its wireless variants
	SDM120 = "eastron-sdm120" // Eastron SDM120, one phase
	SDM630 = "eastron-sdm630" // Eastron SDM630, three phases
)

//go:embed profiles/*.json
var files embed.FS

// A Confidence is how sure a register map, or a point of it, is. None was checked
// against a meter.
type Confidence string

// The degrees of confidence.
const (
	High       Confidence = "high"        // the maker's manual, or independent sources that agree
	MediumHigh Confidence = "medium-high" // one source that is in wide use
	Medium     Confidence = "medium"      // one source
	Inferred   Confidence = "inferred"    // not stated by a source, but follows from the points around it
)

// A Profile is the register map of a kind of meter.
type Profile struct {
	ID         string     `json:"id"`
	Vendor     string     `json:"vendor"`
	Model      string     `json:"model"`
	Confidence Confidence `json:"confidence"`
	Why        string     `json:"why"` // what the confidence rests on, if not on the sources alone
	Sources    []Source   `json:"sources"`
	Notes      []string   `json:"notes"`

	// Function reads the meter: 3 holding registers, or 4 input registers.
	Function uint8 `json:"function"`

	// Blocks are ranges that are best read at once: first address and count.
	Blocks [][2]uint16 `json:"blocks"`

	Points   []Point   `json:"points"`
	History  *History  `json:"history"`
	Extremes *Extremes `json:"extremes"`
}

// A Source is where the facts of a profile come from.
type Source struct {
	What string `json:"what"`
	URL  string `json:"url"`
}

// A History is what a meter keeps of the months that are over. Period n, from 1 for
// the last one, begins at First + (n-1)·Stride, with its time in the format Time.
// The addresses of the points count from there.
type History struct {
	First  uint16  `json:"first"`
	Stride uint16  `json:"stride"`
	Count  int     `json:"count"`
	Time   string  `json:"time"`
	Points []Point `json:"points"`
}

// Extremes are the highest and lowest values of months. Month n, from 0 for this
// one, begins at First + n·Stride; the addresses of the points count from there, and
// the lowest values come MinOffset after. Two registers follow each value: minute
// and hour, day and month.
type Extremes struct {
	First     uint16  `json:"first"`
	Stride    uint16  `json:"stride"`
	Count     int     `json:"count"`
	MinOffset uint16  `json:"minOffset"`
	Max       []Point `json:"max"`
}

// Names returns the names of the profiles, sorted.
func Names() []string {
	list, err := fs.Glob(files, "profiles/*.json")
	if err != nil {
		return nil // the pattern is right
	}
	for i, file := range list {
		list[i] = strings.TrimSuffix(strings.TrimPrefix(file, "profiles/"), ".json")
	}
	return list
}

// Load reads a profile. It is read from the program each time; callers that need
// one often keep it.
func Load(name string) (*Profile, error) {
	doc, err := files.ReadFile("profiles/" + name + ".json")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("meter: no profile %q; there are %s", name, strings.Join(Names(), ", "))
	} else if err != nil {
		return nil, fmt.Errorf("meter: profile %s: %w", name, err)
	}
	p := new(Profile)
	if err := json.Unmarshal(doc, p); err != nil {
		return nil, fmt.Errorf("meter: profile %s: %w", name, err)
	}
	for i := range p.Points {
		p.Points[i].Confidence = p.Confidence
		if p.Points[i].Inferred != "" {
			p.Points[i].Confidence = Inferred
		}
	}
	return p, nil
}

// point returns the point of a key, or nil.
func (p *Profile) point(key string) *Point {
	for i := range p.Points {
		if p.Points[i].Key == key {
			return &p.Points[i]
		}
	}
	return nil
}
