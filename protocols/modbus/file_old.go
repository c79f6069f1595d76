package modbus

import (
	"encoding/json"
	"maps"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// slaves returns the slaves of a file, in its form of today or in the old one, and
// whether it names any place for them.
func (f *file) slaves(o *conf.Object) (list []*conf.Object, ok bool) {
	if o.Has("master") || !o.Has("server") {
		m := o.Object("master")
		defer m.Finish()
		return m.Objects("slaves"), o.Has("master")
	}
	f.old = true
	s := o.Object("server")
	defer s.Finish()
	var connection map[string]json.RawMessage
	if json.Unmarshal(o.Raw("server"), &connection) != nil {
		return nil, true // was reported
	}
	s.Ignore("name")
	s.Ignore(connectionKeys()...)
	for i, raw := range s.Elements("devices") {
		list = append(list, s.Element("devices", i, inherit(raw, connection)))
	}
	return list, true
}

// connectionKeys are the keys that stand beside the devices in the old form, and apply
// to all of them.
func connectionKeys() []string {
	return []string{
		"host", "port", "type", "method", "timeout", "byteOrder", "wordOrder", "retries", "retryOnEmpty", "retryOnInvalid", "baudrate",
		"stopbits", "bytesize", "parity", "strict", "handleLocalEcho", "rs485", "tls", "security", "pollPeriod",
		"delayBetweenRequestsMs", "connectAttemptTimeMs", "connectAttemptCount", "waitAfterFailedAttemptsMs", "repack",
	}
}

// inherit returns a device of the old form, to which the settings of its connection
// apply, as a slave of today.
func inherit(device json.RawMessage, connection map[string]json.RawMessage) json.RawMessage {
	var own map[string]json.RawMessage
	if json.Unmarshal(device, &own) != nil || own == nil {
		return device // reported where it is read
	}
	fields := make(map[string]json.RawMessage)
	for _, key := range connectionKeys() {
		if doc, ok := connection[key]; ok {
			fields[key] = doc
		}
	}
	maps.Copy(fields, own)
	if _, ok := fields["pollPeriod"]; !ok && fields["timeseriesPollPeriod"] != nil {
		fields["pollPeriod"] = fields["timeseriesPollPeriod"]
	}
	doc, err := json.Marshal(fields)
	if err != nil {
		return device
	}
	return doc
}

// serverSection returns the section of the gateway as a slave, and whether it is to
// run.
func (f *file) serverSection(o *conf.Object) (s *conf.Object, run bool) {
	s = o.Object("slave")
	return s, s.Flag("sendDataToThingsBoard", false)
}

// section returns a table of the gateway as a slave, which in the old form is in a list
// of one.
func section(values *conf.Object, key string) *conf.Object {
	if raw := values.Raw(key); raw == nil || raw[0] != '[' {
		return values.Object(key)
	}
	list := values.Objects(key)
	if len(list) == 1 {
		return list[0]
	}
	if len(list) > 1 {
		values.Failf(key, "is a list of %d objects, not of one", len(list))
	}
	return values.Element(key, 0, nil)
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
