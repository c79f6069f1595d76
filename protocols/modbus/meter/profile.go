package meter

import (
	_ "embed" // the register maps
	"encoding/json"
	"fmt"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// ADW300 is the Acrel ADW300 three-phase meter and its wireless variants.
const ADW300 = "acrel-adw300"

//go:embed adw300.json
var adw300 []byte

// A Group is a set of points that one wants or does not.
type Group string

// The groups.
const (
	Measurement   Group = "measurement" // voltages, currents, powers, power factors, frequency
	Energy        Group = "energy"
	TimeOfUse     Group = "time-of-use" // energy by tariff
	Demand        Group = "demand"
	Harmonics     Group = "harmonics"
	Status        Group = "status"        // inputs, outputs, alarms, temperatures, residual current, unbalance, angles
	Configuration Group = "configuration" // settings of the meter

	ratioGroup Group = "ratio"
)

// A Point is a register, or a run of equal registers, of a profile.
type Point struct {
	Key       string  `json:"key"`
	Address   uint16  `json:"address"`   // from 0
	Type      string  `json:"type"`      // int16, uint16, int32, uint32, bits16 or raw
	Registers int     `json:"registers"` // of type raw
	Count     int     `json:"count"`     // equal values in a row; 0: one
	First     int     `json:"firstOrder"`
	Scale     float64 `json:"scale"` // reading = register * Scale in Unit; 0: 1
	Unit      string  `json:"unit"`
	Ratio     string  `json:"ratio"` // pt, ct, pt*ct or nothing: what a secondary value is multiplied by
	Group     Group   `json:"group"`
	Writable  bool    `json:"writable"`

	Bits     map[string]string `json:"bits"`     // names of the bits
	Inferred string            `json:"inferred"` // why the point is less certain than the profile
	Note     string            `json:"note"`

	// Source says where the point comes from, and Confidence how sure it is.
	Source     string `json:"-"`
	Confidence string `json:"-"`
}

// A profile is a register map file.
type profile struct {
	ID         string `json:"id"`
	Model      string `json:"model"`
	Confidence string `json:"confidence"`
	Sources    []struct {
		What string `json:"what"`
		URL  string `json:"url"`
	} `json:"sources"`
	Points []Point `json:"points"`
}

// Names returns the names of the profiles.
func Names() []string { return []string{ADW300} }

// Points returns the points of a profile.
func Points(name string) ([]Point, error) {
	p, err := load(name)
	return p.Points, err
}

func load(name string) (p profile, err error) {
	if name != ADW300 {
		return p, fmt.Errorf("meter: no profile %q; there are %v", name, Names())
	}
	if err := json.Unmarshal(adw300, &p); err != nil {
		return p, fmt.Errorf("meter: profile %s: %w", name, err)
	}
	source := ""
	if len(p.Sources) > 0 {
		source = p.Sources[0].What
	}
	for i := range p.Points {
		p.Points[i].Source, p.Points[i].Confidence = source, p.Confidence
		if p.Points[i].Inferred != "" {
			p.Points[i].Confidence = "inferred: " + p.Points[i].Inferred
		}
	}
	return p, nil
}

// registers returns the registers that p stands for.
func (p Point) registers() ([]modbus.Register, error) {
	r := modbus.Register{Key: p.Key, Address: p.Address, Scale: p.Scale}
	step := uint16(1)
	switch p.Type {
	case "uint16", "bits16":
		r.Type = modbus.Uint16
	case "int16":
		r.Type = modbus.Int16
	case "uint32":
		r.Type, step = modbus.Uint32, 2
	case "int32":
		r.Type, step = modbus.Int32, 2
	case "raw":
		r.Type, r.Count = modbus.Bytes, p.Registers
	default:
		return nil, fmt.Errorf("meter: point %s has unknown type %q", p.Key, p.Type)
	}
	if p.Count == 0 {
		return []modbus.Register{r}, nil
	}
	var list []modbus.Register
	for i := range p.Count {
		r.Key = fmt.Sprintf("%s_h%d", p.stem(), p.First+i)
		list = append(list, r)
		r.Address += step
	}
	return list, nil
}

// stem returns the key of a run of harmonics without its range of orders.
func (p Point) stem() string {
	suffix := fmt.Sprintf("_%d_%d", p.First, p.First+p.Count-1)
	if n := len(p.Key) - len(suffix); n > 0 && p.Key[n:] == suffix {
		return p.Key[:n]
	}
	return p.Key
}
