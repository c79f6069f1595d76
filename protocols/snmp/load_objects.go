package snmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// object reads an element of attributes or telemetry. One whose method does not exist
// is left out alone, as with the reference gateway.
func (l *loader) object(o *conf.Object, d *Device, attribute bool) {
	defer o.Finish()
	method, err := parseMethod(o.Text("method", "get"))
	obj := Object{
		Key: o.Required("key"), Attribute: attribute, Method: method,
		Poll: l.period(o, 0), Encoding: encoding(o), Scale: factor(o), Report: conf.ReportPolicy(o, d.Report),
	}
	obj.OIDs, obj.Scalars, obj.Repetitions = objects(o, method)
	o.Unused("timeout", "community", "numBaseNodes") // the device's apply
	if err != nil {
		l.log.Error("object is left out", slog.String("device", d.Name), slog.String("key", obj.Key),
			slog.Any("error", fmt.Errorf("%s: %w", o.At("method"), err)))
		return
	}
	_, err = newOp(d.withDefaults(Config{}), l.cfg.Names, method, obj.OIDs, obj.Scalars, obj.Repetitions, obj.Encoding, obj.Scale)
	if method.writes() {
		err = errors.Join(err, fmt.Errorf("method: %v cannot be polled", method))
	}
	check(o, err)
	d.Objects = append(d.Objects, obj)
}

// check reports what compiling o's entry found wrong, under its path.
func check(o *conf.Object, err error) {
	if err == nil {
		return
	}
	for _, e := range prefixed("", err) {
		o.Fail("", e)
	}
}

// objects reads which objects a method is for.
func objects(o *conf.Object, m Method) (oids, scalars []string, repetitions int) {
	oids, scalars = o.Strings("oid"), o.Strings("scalarOid")
	repeating := o.Strings("repeatingOid")
	size, most := o.Int("bulkSize", 0, 0, maxRepetitions), o.Int("maxListSize", 0, 0, maxRepetitions)
	repetitions = int(size)
	if m == BulkGet {
		oids, repetitions = append(oids, repeating...), int(most)
	}
	return oids, scalars, repetitions
}

func encoding(o *conf.Object) Encoding {
	switch o.OneOf("encoding", "auto", encodingNames()...) {
	case "text":
		return Text
	case "hex":
		return Hex
	default:
		return Auto
	}
}

// factor reads multiplier and divider.
func factor(o *conf.Object) float64 {
	const most = 1e12
	mul, div := o.Float("multiplier", 1, -most, most), o.Float("divider", 1, -most, most)
	if mul == 0 || div == 0 {
		o.Failf("multiplier", "it or the divider is zero")
		return 1
	}
	return mul / div
}

// command reads an element of serverSideRpcRequests or attributeUpdateRequests.
func (l *loader) command(o *conf.Object, d *Device, filter string, list *[]Command) {
	defer o.Finish()
	before := o.Reader().Failures()
	c := Command{
		Name: o.Required(filter), Encoding: encoding(o), Scale: factor(o),
		Timeout: o.Duration("timeout", time.Second, fileRPCTimeout),
	}
	var err error
	if c.Method, err = parseMethod(o.Text("method", "get")); err != nil {
		o.Fail("method", err)
	}
	c.OIDs, c.Scalars, c.Repetitions = objects(o, c.Method)
	c.Syntax = dataType(o)
	o.Unused("community", "numBaseNodes")
	if value := o.Text("value", ""); value != "" && c.Method.writes() && len(c.OIDs) == 1 {
		c.Writes = []Write{{OID: c.OIDs[0], Syntax: c.Syntax, Value: value}}
	}
	c.Writes = append(c.Writes, mappings(o, c.Syntax)...)
	if o.Reader().Failures() > before {
		return
	}
	_, err = newCommand(d.withDefaults(Config{}), l.cfg.Names, c)
	check(o, err)
	*list = append(*list, c)
}

func dataType(o *conf.Object) Syntax {
	typ, err := parseType(o.Text("dataType", ""))
	if err != nil {
		o.Fail("dataType", err)
	}
	return typ
}

// mappings reads what a multiset writes: {oid: value}, or
// {oid: {"value": value, "dataType": type}}.
func mappings(o *conf.Object, typ Syntax) (list []Write) {
	m := o.Object("mappings")
	for i, oid := range m.Keys() {
		w := Write{OID: oid, Syntax: typ}
		raw := m.Peek(oid)
		if len(raw) > 0 && raw[0] == '{' {
			entry := o.Element("mappings", i, raw)
			w.Value, w.Syntax = entry.Text("value", ""), dataType(entry)
			entry.Finish()
		} else if len(raw) > 0 && json.Unmarshal(raw, &w.Value) != nil {
			w.Value = string(raw) // a number or a boolean
		}
		list = append(list, w)
	}
	return list
}
