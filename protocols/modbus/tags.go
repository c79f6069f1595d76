package modbus

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// tags reads the tag lists of a slave.
func (f *file) tags(o *conf.Object, d *Device) {
	for _, key := range [...]string{"attributes", "timeseries"} {
		for _, t := range o.Objects(key) {
			f.polled(t, d, key == "attributes", 0)
			t.Unused("value") // which says what the gateway as a slave holds
			t.Finish()
		}
	}
	for _, r := range d.Registers {
		d.MaxRegisters = max(d.MaxRegisters, r.words())
	}
	d.AttributeUpdates = f.commands(o, "attributeUpdates", d)
	d.RPC = f.commands(o, "rpc", d)
}

func (f *file) commands(o *conf.Object, key string, d *Device) (list []Command) {
	for _, t := range members(o, key) {
		if c, ok := f.command(t, d, 0); ok {
			list = append(list, c)
		}
		t.Unused("value")
		t.Finish()
	}
	return list
}

// members returns the tags in a list, or in its old form, an object by method.
func members(o *conf.Object, key string) []conf.Member {
	if raw := o.Raw(key); raw != nil && raw[0] == '{' {
		return o.Members(key)
	}
	var list []conf.Member
	for _, t := range o.Objects(key) {
		list = append(list, conf.Member{Object: t})
	}
	return list
}

// register reads what polled and commanded tags of d have in common. name is the tag if
// the object has none, and code the function code; zero is none.
func (f *file) register(t *conf.Object, d *Device, name string, code int64) (r Register, function int64, ok bool) {
	before := f.r.Failures()
	if r.Key = name; name == "" {
		r.Key = t.Required("tag")
	} else {
		r.Key = t.Text("tag", name)
	}
	if code == 0 {
		t.Need("functionCode")
	}
	if function = t.Int("functionCode", 0, 1, 16); function == 0 {
		function = code
	}
	t.Need("address", "type")
	count := 0
	for _, key := range [...]string{"registerCount", "registersCount", "objectsCount"} {
		if n := int(t.Int(key, 0, 1, maxReadBits)); n > 0 {
			count = n
		}
	}
	r.Order = order(t, d.Order)
	r.Quirks = f.quirks
	var err error
	if r.Encoding, err = parseEncoding(t.Text("encoding", "")); err != nil {
		t.Fail("encoding", err)
	}
	typ := t.Text("type", "")
	if typ == "" {
		return r, function, false
	}
	if err := r.setFileType(typ, count); errors.Is(err, errType) {
		f.left = append(f.left, fmt.Errorf("%s: %w", t.At(""), err))
		return r, function, false
	} else if err != nil {
		t.Fail("", err)
	}
	return r, function, f.r.Failures() == before
}

// order reads the byte and word order of a slave or tag. What it does not say is that
// of base.
func order(o *conf.Object, base Order) Order {
	bytes, words := base.swapsBytes(), base.swapsWords()
	if s := o.OneOf("byteOrder", "", "big", "little"); s != "" {
		bytes = s == "little"
	}
	if s := o.OneOf("wordOrder", "", "big", "little"); s != "" {
		words = s == "little"
	}
	return orderOf(bytes, words)
}

// parseOrder makes an Order of the reference gateway's two settings, whose default
// is LITTLE in its files.
func parseOrder(byteOrder, wordOrder string) (Order, error) {
	little := func(key, s string) (bool, error) {
		switch strings.ToUpper(s) {
		case "LITTLE":
			return true, nil
		case "BIG", "":
			return false, nil
		default:
			return false, fmt.Errorf("%s: %q is neither BIG nor LITTLE", key, s)
		}
	}
	bytes, err := little("byteOrder", byteOrder)
	if err != nil {
		return 0, err
	}
	words, err := little("wordOrder", wordOrder)
	if err != nil {
		return 0, err
	}
	return orderOf(bytes, words), nil
}

// orderOf returns the order in which bytes, and words, come the lowest first.
func orderOf(bytes, words bool) Order {
	switch {
	case bytes && words:
		return DCBA
	case bytes:
		return BADC
	case words:
		return CDAB
	default:
		return ABCD
	}
}

// errType means that a tag's type does not exist, which costs the tag and no other.
var errType = errors.New("type: not known")

// setFileType sets the type by its name in files, of which some take their size
// from count. Zero is no count.
func (r *Register) setFileType(name string, count int) error {
	r.Count = max(count, 1)
	switch strings.ToLower(name) {
	case "bit", "bits", "coil", "coils", "bool", "boolean":
		r.Type = Bits
		return nil
	case "string":
		r.Type = String
		return nil
	case "bytes":
		r.Type = Bytes
		return nil
	}
	typ, ok := fileNumber(strings.ToLower(name), r.Count)
	if !ok {
		return fmt.Errorf("%w: %q with objectsCount %d", errType, name, r.Count)
	}
	if count != 0 && count < typ.registers() {
		return fmt.Errorf("objectsCount: %d is too few registers for %s", count, name)
	}
	r.Type = typ
	return nil
}

func fileNumber(name string, count int) (DataType, bool) {
	switch name {
	case "int", "integer", "long", "word", "dword", "dword/integer":
		name = strconv.Itoa(count*16) + "int"
	case "uint", "unsigned", "unsigned int", "unsigned integer":
		name = strconv.Itoa(count*16) + "uint"
	case "float", "double":
		name = strconv.Itoa(count*16) + "float"
	}
	typ, ok := map[string]DataType{
		"8int": Int8, "8uint": Uint8, "16int": Int16, "16uint": Uint16, "16float": Float16,
		"32int": Int32, "32uint": Uint32, "32float": Float32, "64int": Int64, "64uint": Uint64, "64float": Float64,
	}[name]
	return typ, ok
}

// polled reads a tag of attributes or timeseries.
func (f *file) polled(t *conf.Object, d *Device, attribute bool, code int64) {
	r, function, ok := f.register(t, d, "", code)
	r.Attribute = attribute
	r.Report = conf.ReportPolicy(t, nil)
	r.Poll = t.Duration("pollPeriod", time.Millisecond, 0)
	if attribute && r.Poll == 0 {
		r.Poll = f.attributePoll
	}
	most := int(t.Int("maxRegistersPerRequest", 0, 1, maxReadRegisters))
	arithmetic(t, &r)
	if ok && function > readInputRegisters {
		t.Failf("functionCode", "%d does not read; 1 to 4 do", function)
		ok = false
	}
	if !ok {
		t.Ignore("address")
		return
	}
	r.Table = map[int64]Table{1: Coil, 2: Discrete, 3: Holding, 4: Input}[function]
	if most > 0 {
		d.MaxRegisters = min(d.MaxRegisters, most)
	}
	expand(t, r, function, d)
}

// arithmetic reads what is done with a reading.
func arithmetic(t *conf.Object, r *Register) {
	r.Divider = t.Float("divider", 0, -math.MaxFloat64, math.MaxFloat64)
	if scale := t.Float("multiplier", 0, -math.MaxFloat64, math.MaxFloat64); r.Divider == 0 {
		r.Scale = scale
	}
	if round := int(t.Int("round", 6, 0, 15)); r.Type == Float16 || r.Type == Float32 || r.Type == Float64 {
		r.Round = &round
	}
	if bit := int(t.Int("bit", 0, 0, maxReadBits)); t.Has("bit") {
		r.Bit, r.Number = &bit, true
	}
	if target := t.OneOf("bitTargetType", "", "int", "bool"); target != "" {
		r.Number = target == "int"
	}
	for key, bound := range map[string]**float64{"min": &r.Min, "max": &r.Max} {
		if x := t.Float(key, 0, -math.MaxFloat64, math.MaxFloat64); t.Has(key) {
			*bound = &x
		}
	}
	variants(t, r)
}

func variants(t *conf.Object, r *Register) {
	all := t.Object("variants")
	if all.Empty() {
		return
	}
	r.Variants = make(map[string]telemetry.Value)
	for _, key := range all.Keys() {
		v, err := params.Value(all.Peek(key))
		if err != nil {
			all.Fail(key, err)
			continue
		}
		r.Variants[key] = v
	}
}

// The most readings of one slave, and of one tag that is a range of addresses: a slip of
// the pen must not cost a device's memory.
const (
	maxReadings = 1 << 16
	maxRange    = 10000
)

// expand adds r to d once for each address: the address of a tag may be a range
// "from-to".
func expand(t *conf.Object, r Register, function int64, d *Device) {
	text := strings.Trim(string(t.Raw("address")), `" `)
	from, to, isRange := strings.Cut(text, "-")
	if !isRange || from == "" {
		r.Address = uint16(t.Int("address", 0, 0, 65535))
		d.Registers = append(d.Registers, r)
		return
	}
	text = t.Text("address", "")
	first, err1 := parseAddress(from)
	last, err2 := parseAddress(to)
	step := max(r.Count, r.Type.registers())
	switch {
	case err1 != nil || err2 != nil || first > last:
		t.Failf("address", "%q is not a range within 0-65535", text)
		return
	case (last-first)/step >= maxRange || len(d.Registers)+(last-first)/step >= maxReadings:
		t.Failf("address", "%q: a range has %d readings at most, and a slave %d", text, maxRange, maxReadings)
		return
	}
	template := r.Key
	if !strings.Contains(template, "address") {
		template += "_${address}"
	}
	template = strings.NewReplacer("${unitId}", strconv.Itoa(int(d.Unit)), "${functionCode}", strconv.FormatInt(function, 10),
		"${type}", t.Text("type", ""), "${objectsCount}", strconv.Itoa(r.Count)).Replace(template)
	for addr := first; addr <= last; addr += step {
		r.Address = uint16(addr)
		r.Key = strings.ReplaceAll(template, "${address}", strconv.Itoa(addr))
		d.Registers = append(d.Registers, r)
	}
}

// parseAddress reads an address, which may be hexadecimal with 0x.
func parseAddress(s string) (int, error) {
	s = strings.TrimSpace(s)
	base := 10
	if h, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = h, 16
	}
	n, err := strconv.ParseUint(s, base, 16)
	return int(n), err
}

// command reads a tag of attributeUpdates or rpc.
func (f *file) command(m conf.Member, d *Device, code int64) (Command, bool) {
	t := m.Object
	r, function, ok := f.register(t, d, m.Name, code)
	r.Address = uint16(t.Int("address", 0, 0, 65535))
	if function <= readInputRegisters {
		arithmetic(t, &r)
	} else {
		t.Unused("divider", "multiplier", "round", "bit", "bitTargetType", "variants", "min", "max") // a value is written as it is
		if f.repack && r.Order.swapsBytes() {
			r.Order = map[Order]Order{BADC: ABCD, DCBA: CDAB}[r.Order]
		}
	}
	t.Unused("params", "reportStrategy")
	if !ok {
		return Command{}, false
	}
	if function > writeSingleRegister && function != writeMultipleCoils && function != writeMultipleRegisters {
		f.left = append(f.left, fmt.Errorf("%s: %d is not a function to read or write with", t.At("functionCode"), function))
		return Command{}, false
	}
	function = f.writable(t, &r, function)
	c := Command{Method: r.Key, Function: uint8(function), Register: r}
	if _, err := newCommand(c); err != nil {
		t.Fail("", err)
		return Command{}, false
	}
	return c, true
}

// writable returns the function that writes r, of which the one in the file can only
// write a part: several registers take function 16. Of several coils function 5
// writes the first, as in the reference gateway.
func (f *file) writable(t *conf.Object, r *Register, function int64) int64 {
	switch {
	case function == writeSingleRegister && r.Type.registers() > 1,
		function == writeSingleRegister && r.Count > 1 && (r.Type == String || r.Type == Bytes):
		f.log.Warn("function 6 writes one register, so 16 is used", slog.String("path", t.At("")), slog.String("tag", r.Key))
		return writeMultipleRegisters
	case function == writeSingleCoil && r.Count > 1:
		r.Count, r.firstBit = 1, true
	}
	return function
}
