package meter

import (
	"fmt"
	"math"
	"strings"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// A Point is a value, or a run of values of one kind, of a profile.
type Point struct {
	Key       string  `json:"key"`
	Address   uint16  `json:"address"`   // from 0
	Type      string  `json:"type"`      // int16 to uint64, float32, float64, bits16 or raw
	Order     string  `json:"order"`     // CDAB: the low word first; empty: ABCD
	Registers int     `json:"registers"` // of type raw
	Count     int     `json:"count"`     // values in a row; 0: one
	First     int     `json:"firstOrder"`
	Scale     float64 `json:"scale"` // reading = register · Scale in Unit; 0: 1
	Unit      string  `json:"unit"`
	Ratio     string  `json:"ratio"` // pt, ct, pt*ct or nothing: what a secondary value is multiplied by
	Group     Group   `json:"group"`
	Writable  bool    `json:"writable"`

	// Command makes a writable point a remote procedure whatever groups are read.
	Command bool `json:"command"`

	// Format is what the bytes of a raw point are: smhdMy (second, minute, hour,
	// day, month, year), yMdhms or mhdM.
	Format string `json:"format"`

	// Sign names the point whose sign this one has, which is unsigned in the meter.
	Sign string `json:"sign"`

	Bits     map[string]string `json:"bits"`     // names of the bits
	Inferred string            `json:"inferred"` // why the point is less certain than the profile
	Note     string            `json:"note"`

	Confidence Confidence `json:"-"` // the profile's, or Inferred
}

// types returns the data type that a name in a profile stands for.
func types(name string) (modbus.DataType, bool) {
	switch name {
	case "uint16", "bits16":
		return modbus.Uint16, true
	case "int16":
		return modbus.Int16, true
	case "uint32":
		return modbus.Uint32, true
	case "int32":
		return modbus.Int32, true
	case "uint64":
		return modbus.Uint64, true
	case "int64":
		return modbus.Int64, true
	case "float32":
		return modbus.Float32, true
	case "float64":
		return modbus.Float64, true
	case "raw":
		return modbus.Bytes, true
	default:
		return 0, false
	}
}

// words returns how many registers one value of p takes.
func (p *Point) words() int {
	switch p.Type {
	case "uint32", "int32", "float32":
		return 2
	case "uint64", "int64", "float64":
		return 4
	case "raw":
		return p.Registers
	default:
		return 1
	}
}

// scale returns what a register is multiplied by.
func (p *Point) scale() float64 {
	if p.Scale == 0 {
		return 1
	}
	return p.Scale
}

// register returns p's first register in table.
func (p *Point) register(table modbus.Table) (modbus.Register, error) {
	typ, ok := types(p.Type)
	if !ok {
		return modbus.Register{}, fmt.Errorf("meter: point %s has unknown type %q", p.Key, p.Type)
	}
	r := modbus.Register{Key: p.Key, Table: table, Address: p.Address, Type: typ, Scale: p.Scale}
	if p.Type == "raw" {
		r.Count = p.Registers
	}
	switch p.Order {
	case "":
	case "CDAB":
		r.Order = modbus.CDAB
	default:
		return r, fmt.Errorf("meter: point %s has unknown order %q", p.Key, p.Order)
	}
	return r, nil
}

// registers returns the registers that p stands for, one for each of its values.
func (p *Point) registers(table modbus.Table) ([]modbus.Register, error) {
	r, err := p.register(table)
	if err != nil || p.Count == 0 {
		return []modbus.Register{r}, err
	}
	var list []modbus.Register
	for i := range p.Count {
		r.Key = p.element(i)
		list = append(list, r)
		r.Address += uint16(p.words())
	}
	return list, nil
}

// array returns the registers of all of p's values as bytes.
func (p *Point) array(table modbus.Table) modbus.Register {
	return modbus.Register{
		Key: p.stem(), Table: table, Address: p.Address, Type: modbus.Bytes, Count: p.Count * p.words(),
	}
}

// element returns the key of the i-th of several values.
func (p *Point) element(i int) string { return fmt.Sprintf("%s_h%d", p.stem(), p.First+i) }

// stem returns the key of a run of values without its range of orders.
func (p *Point) stem() string {
	return strings.TrimSuffix(p.Key, fmt.Sprintf("_%d_%d", p.First, p.First+p.Count-1))
}

// measured reports whether p is a quantity, of which meters say with a certain
// number that it is not available.
func (p *Point) measured() bool {
	return p.Group != Settings && p.Group != ratioGroup && p.Type != "bits16" && p.Type != "raw"
}

// available returns the bounds of raw integers that are values. The lowest and
// highest number of a signed type, and the highest of an unsigned one, mean that
// there is none. 64 bits are bounded a little tighter, by what a float64 resolves.
// Floats have NaN for it, which is never reported.
func (p *Point) available() (low, high float64, ok bool) {
	switch p.Type {
	case "int16":
		return math.MinInt16 + 0.5, math.MaxInt16 - 0.5, true
	case "uint16":
		return 0, math.MaxUint16 - 0.5, true
	case "int32":
		return math.MinInt32 + 0.5, math.MaxInt32 - 0.5, true
	case "uint32":
		return 0, math.MaxUint32 - 0.5, true
	case "int64":
		return -9.2e18, 9.2e18, true
	case "uint64":
		return 0, 9.2e18, true
	default:
		return 0, 0, false
	}
}
