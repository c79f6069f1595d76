package modbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// tags reads the tag lists of a slave.
func (f *file) tags(o object, d *Device) {
	for _, t := range o.list("attributes") {
		f.polled(t, o, d, true)
	}
	for _, t := range o.list("timeseries") {
		f.polled(t, o, d, false)
	}
	for _, r := range d.Registers {
		d.MaxRegisters = max(d.MaxRegisters, r.words())
	}
	for _, t := range o.list("attributeUpdates") {
		if c, ok := f.command(t, o); ok {
			d.AttributeUpdates = append(d.AttributeUpdates, c)
		}
	}
	for _, t := range f.rpcList(o) {
		if c, ok := f.command(t, o); ok {
			d.RPC = append(d.RPC, c)
		}
	}
}

// rpcList reads the list of procedures, or its old form, an object by method.
func (f *file) rpcList(o object) []object {
	doc, ok := o.raw("rpc")
	if !ok {
		return nil
	}
	var byMethod map[string]json.RawMessage
	if json.Unmarshal(doc, &byMethod) != nil {
		return o.list("rpc")
	}
	var list []object
	for method, doc := range byMethod {
		t, ok := f.r.object(o.at("rpc."+method), doc)
		if !ok {
			continue
		}
		name, err := json.Marshal(method)
		if err == nil && !t.has("tag") {
			t.fields["tag"] = name
		}
		list = append(list, t)
	}
	return list
}

// register reads what polled and commanded tags have in common.
func (f *file) register(t, slave object) (r Register, function int, ok bool) {
	before := len(f.r.errs)
	r.Key = t.text("tag", "")
	if r.Key == "" {
		f.r.fail(t.at("tag"), "missing")
	}
	function = t.integer("functionCode", 0, 1, 16)
	if !t.has("functionCode") {
		f.r.fail(t.at("functionCode"), "missing")
	}
	if !t.has("address") {
		f.r.fail(t.at("address"), "missing")
	}
	count := 0
	for _, key := range [...]string{"objectsCount", "registersCount", "registerCount"} {
		if t.has(key) {
			count = t.integer(key, 1, 1, maxReadBits)
			break
		}
	}
	if !t.has("type") {
		f.r.fail(t.at("type"), "missing")
		return r, function, false
	}
	r.Order = f.order(t, slave)
	r.Quirks = f.quirks
	var err error
	if r.Encoding, err = parseEncoding(t.text("encoding", "")); err != nil {
		f.r.fail(t.at("encoding"), "%w", err)
	}
	if err := r.setFileType(t.text("type", ""), count); errors.Is(err, errType) {
		f.r.leave(t.path, err)
		return r, function, false
	} else if err != nil {
		f.r.fail(t.path, "%w", err)
	}
	return r, function, len(f.r.errs) == before
}

// order reads the byte and word order of a tag, or of its slave.
func (f *file) order(t, slave object) Order {
	byteOrder, wordOrder := slave.text("byteOrder", "LITTLE"), slave.text("wordOrder", "LITTLE")
	order, err := parseOrder(t.text("byteOrder", byteOrder), t.text("wordOrder", wordOrder))
	if err != nil {
		f.r.fail(slave.path, "%w", err)
	}
	return order
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
	switch {
	case bytes && words:
		return DCBA, nil
	case bytes:
		return BADC, nil
	case words:
		return CDAB, nil
	default:
		return ABCD, nil
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
func (f *file) polled(t, slave object, d *Device, attribute bool) {
	t.knows("tag", "type", "functionCode", "address", "objectsCount", "registersCount", "registerCount", "divider",
		"multiplier", "round", "bit", "bitTargetType", "variants", "maxRegistersPerRequest", "reportStrategy", "byteOrder",
		"wordOrder", "pollPeriod", "sendDataOnlyOnChange", "min", "max", "encoding", "value")
	r, function, ok := f.register(t, slave)
	if !ok {
		return
	}
	if function > readInputRegisters {
		f.r.fail(t.at("functionCode"), "%d does not read; 1 to 4 do", function)
		return
	}
	r.Table = map[int]Table{1: Coil, 2: Discrete, 3: Holding, 4: Input}[function]
	r.Attribute = attribute
	r.Report = reportPolicy(t, nil)
	r.Poll = t.duration("pollPeriod", time.Millisecond, 0)
	if attribute && (f.old || !slave.has("pollPeriod")) {
		r.Poll = slave.duration("attributesPollPeriod", time.Millisecond, r.Poll)
	}
	if t.has("maxRegistersPerRequest") {
		d.MaxRegisters = min(d.MaxRegisters, t.integer("maxRegistersPerRequest", maxReadRegisters, 1, maxReadRegisters))
	}
	f.arithmetic(t, &r)
	d.Registers = append(d.Registers, f.expand(t, r, function, d.Unit)...)
}

// arithmetic reads what is done with a reading.
func (f *file) arithmetic(t object, r *Register) {
	r.Divider = t.number("divider")
	if r.Divider == 0 {
		r.Scale = t.number("multiplier")
	}
	round := 6
	if r.Type == Float16 || r.Type == Float32 || r.Type == Float64 {
		round = t.integer("round", round, 0, 15)
		r.Round = &round
	}
	if t.has("bit") {
		bit := t.integer("bit", 0, 0, maxReadBits)
		r.Bit, r.Number = &bit, true
	}
	switch target := strings.ToLower(t.text("bitTargetType", "")); target {
	case "":
	case "int", "bool":
		r.Number = target == "int"
	default:
		f.r.fail(t.at("bitTargetType"), "%q is neither int nor bool", target)
	}
	for key, bound := range map[string]**float64{"min": &r.Min, "max": &r.Max} {
		if t.has(key) {
			x := t.number(key)
			*bound = &x
		}
	}
	f.variants(t, r)
}

func (f *file) variants(t object, r *Register) {
	doc, ok := t.raw("variants")
	if !ok {
		return
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(doc, &m); err != nil {
		f.r.fail(t.at("variants"), "not an object")
		return
	}
	if len(m) == 0 {
		return
	}
	r.Variants = make(map[string]telemetry.Value, len(m))
	for key, doc := range m {
		v, err := parseParams(doc)
		if err != nil {
			f.r.fail(t.at("variants."+key), "%w", err)
			continue
		}
		r.Variants[key] = v
	}
}

// expand returns r once for each address: the address of a tag may be a range
// "from-to".
func (f *file) expand(t object, r Register, function int, unit uint8) []Register {
	text := t.text("address", "")
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		r.Address = uint16(t.integer("address", 0, 0, 65535))
		return []Register{r}
	}
	first, err1 := parseNumber(from)
	last, err2 := parseNumber(to)
	if err1 != nil || err2 != nil || first < 0 || last > 65535 || first > last {
		f.r.fail(t.at("address"), "%q is not a range within 0-65535", text)
		return nil
	}
	template := r.Key
	if !strings.Contains(template, "address") {
		template += "_${address}"
	}
	step := r.Count
	if n := r.Type.registers(); n > 0 {
		step = max(step, n)
	}
	var list []Register
	for addr := first; addr <= last; addr += step {
		r.Address = uint16(addr)
		r.Key = strings.NewReplacer(
			"${address}", strconv.Itoa(addr), "${unitId}", strconv.Itoa(int(unit)), "${functionCode}", strconv.Itoa(function),
			"${type}", t.text("type", ""), "${objectsCount}", strconv.Itoa(r.Count),
		).Replace(template)
		list = append(list, r)
	}
	return list
}

// command reads a tag of attributeUpdates or rpc.
func (f *file) command(t, slave object) (Command, bool) {
	t.knows("tag", "type", "functionCode", "address", "objectsCount", "registersCount", "registerCount", "byteOrder",
		"wordOrder", "divider", "multiplier", "round", "bit", "bitTargetType", "variants", "value", "params", "reportStrategy",
		"encoding", "min", "max")
	r, function, ok := f.register(t, slave)
	if !ok {
		return Command{}, false
	}
	r.Address = uint16(t.integer("address", 0, 0, 65535))
	if function <= readInputRegisters {
		f.arithmetic(t, &r)
	} else if slave.flag("repack") && r.Order.swapsBytes() {
		r.Order = map[Order]Order{BADC: ABCD, DCBA: CDAB}[r.Order]
	}
	function = f.writable(t, &r, function)
	c := Command{Method: r.Key, Function: uint8(function), Register: r}
	if _, err := newCommand(c); err != nil {
		f.r.fail(t.path, "%w", err)
		return Command{}, false
	}
	return c, true
}

// writable returns the function that writes r, of which the one in the file can only
// write a part: several registers take function 16. Of several coils function 5
// writes the first, as in the reference gateway.
func (f *file) writable(t object, r *Register, function int) int {
	switch {
	case function == writeSingleRegister && r.Type.registers() > 1,
		function == writeSingleRegister && r.Count > 1 && (r.Type == String || r.Type == Bytes):
		f.log.Warn("function 6 writes one register, so 16 is used", slog.String("path", t.path), slog.String("tag", r.Key))
		return writeMultipleRegisters
	case function == writeSingleCoil && r.Count > 1:
		r.Count, r.firstBit = 1, true
	}
	return function
}
