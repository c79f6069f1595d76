package snmp

import (
	"math"
	"net"
	"strconv"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// traps reads the section traps.
func (l *loader) traps(o *conf.Object) {
	t := &Traps{
		Communities:    o.Strings("communities"),
		EngineID:       o.Text("engineId", ""),
		DropUnmapped:   !o.Flag("unmapped", true),
		Unknown:        o.Text("unknownDeviceName", ""),
		UnknownProfile: o.Text("unknownDeviceType", "default"),
	}
	t.Address = net.JoinHostPort(o.Text("host", ""), strconv.FormatInt(o.Int("port", 162, 1, math.MaxUint16), 10))
	for _, u := range o.Objects("users") {
		t.Users = append(t.Users, user(u))
		u.Finish()
	}
	for _, m := range o.Objects("mappings") {
		t.Mappings = append(t.Mappings, l.mapping(m))
	}
	o.Finish()
	l.cfg.Traps = t
}

// mapping reads an element of traps.mappings.
func (l *loader) mapping(o *conf.Object) TrapMapping {
	m := TrapMapping{
		Trap: o.Required("trap"), Key: o.Text("key", ""), Value: o.Text("value", ""),
		Report: conf.ReportPolicy(o, l.report),
	}
	for _, section := range []struct {
		key       string
		attribute bool
	}{{"attributes", true}, {"telemetry", false}} {
		for _, item := range o.Objects(section.key) {
			m.Objects = append(m.Objects, TrapObject{
				Key: item.Required("key"), OID: item.Required("oid"), Attribute: section.attribute,
				Encoding: encoding(item), Scale: factor(item), Report: conf.ReportPolicy(item, m.Report),
			})
			item.Finish()
		}
	}
	o.Finish()
	_, err := newTrapMap(m, l.cfg.Names)
	check(o, err)
	return m
}
