package modbus

import (
	"encoding/json"
	"maps"
)

// slaves returns the slaves of a file, in its form of today or in the old one, and
// whether it names any place for them.
func (f *file) slaves(o object) (list []object, ok bool) {
	if doc, ok := o.raw("master"); ok {
		m, ok := f.r.object("master", doc)
		if !ok {
			return nil, true
		}
		m.knows("slaves")
		return m.list("slaves"), true
	}
	doc, ok := o.raw("server")
	if !ok {
		return nil, false
	}
	s, ok := f.r.object("server", doc)
	if !ok {
		return nil, true
	}
	f.old = true
	for _, d := range s.list("devices") {
		list = append(list, d.inherit(s))
	}
	return list, true
}

// inherit returns a device of the old form, to which the settings of its connection
// apply, as a slave of today.
func (o object) inherit(connection object) object {
	fields := map[string]json.RawMessage{}
	for _, key := range [...]string{"host", "port", "type", "method", "timeout", "byteOrder", "wordOrder", "retries", "baudrate"} {
		fields[key] = json.RawMessage("null")
	}
	maps.Copy(fields, connection.fields)
	delete(fields, "devices")
	delete(fields, "name")
	maps.Copy(fields, o.fields)
	s := object{r: o.r, path: o.path, fields: fields}
	if doc, ok := s.raw("timeseriesPollPeriod"); ok && !s.has("pollPeriod") {
		s.fields["pollPeriod"] = doc
	}
	return s
}

// serverSection returns the section of the gateway as a slave, with the tables of the
// old form, lists of one, as objects, and whether it is to run.
func (f *file) serverSection(o object) (s object, run bool) {
	doc, ok := o.raw("slave")
	if !ok {
		return object{}, false
	}
	s, ok = f.r.object("slave", doc)
	if !ok {
		return s, false
	}
	values, ok := s.raw("values")
	if ok {
		s.fields["values"] = unlist(values)
	}
	return s, s.flag("sendDataToThingsBoard")
}

// unlist replaces the members of an object that are lists of one by that one.
func unlist(doc json.RawMessage) json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(doc, &m) != nil {
		return doc // reported where it is read
	}
	for key, member := range m {
		var list []json.RawMessage
		if json.Unmarshal(member, &list) == nil && len(list) == 1 {
			m[key] = list[0]
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		return doc
	}
	return out
}

// table is a section of the values of the gateway as a slave.
type table struct {
	key   string
	table Table
	read  uint8 // functions
	write uint8
	many  uint8
}

func tables() []table {
	return []table{
		{"holding_registers", Holding, readHoldingRegisters, writeSingleRegister, writeMultipleRegisters},
		{"coils_initializer", Coil, readCoils, writeSingleCoil, writeMultipleCoils},
		{"input_registers", Input, readInputRegisters, 0, 0},
		{"discrete_inputs", Discrete, readDiscreteInputs, 0, 0},
	}
}
