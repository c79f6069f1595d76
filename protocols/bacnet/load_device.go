package bacnet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

func (l *loader) device(o *conf.Object) Device {
	var d Device
	info := o.Object("deviceInfo")
	d.Name = info.Required("deviceNameExpression")
	d.literalName = info.OneOf("deviceNameExpressionSource", "expression", "expression", "constant") == "constant"
	d.Profile = info.Text("deviceProfileExpression", "default")
	d.literalProfile = info.OneOf("deviceProfileExpressionSource", "expression", "expression", "constant") == "constant"
	info.Finish()
	d.Address = address(o)
	var all bool
	if d.Instances, all = ranges(o, "deviceId"); all {
		d.Instances = []Range{{First: 0, Last: wire.AnyInstance}}
	}
	d.Alternatives = o.Strings("altResponsesAddresses")
	d.Poll = o.Duration("pollPeriod", time.Millisecond, DefaultPoll)
	if d.Poll == 0 {
		o.Fail("pollPeriod", errNotPositive)
	}
	d.COV = cov(o, l.cov)
	d.Report = conf.ReportPolicy(o, l.report)
	d.Timeout = o.Duration("apduTimeout", time.Millisecond, 0)
	d.Retries = retries(o, 0)
	if name := o.Text("uplink_converter", ""); name != "" && name != "AsyncBACnetUplinkConverter" {
		o.Failf("uplink_converter", "%q is a converter in Python, which cannot be run", name)
	}
	o.Unused("devicesRescanObjectsPeriodSeconds", "deviceDiscoveryTimeoutInSec")
	own := &loader{decimals: decimals(o, l.decimals), report: d.Report}
	own.items(o, "attributes", true, &d)
	own.items(o, "timeseries", false, &d)
	for _, c := range o.Objects("attributeUpdates") {
		c.Ignore("requestType") // it is always a write
		d.AttributeUpdates = append(d.AttributeUpdates, writeCommand(c, "key"))
		c.Finish()
	}
	for _, c := range o.Objects("serverSideRpc") {
		c.Unused("requestTimeout", "timeout")
		cmd := writeCommand(c, "method")
		switch request := c.Text("requestType", ""); request {
		case "writeProperty":
		case "readProperty":
			cmd.Write = false
		case "":
			c.Failf("requestType", "is missing")
		default:
			cmd.requested = request
		}
		d.RPC = append(d.RPC, cmd)
		c.Finish()
	}
	if o.Reader().Failures() == 0 {
		o.Fail("", d.validate())
		if d.Address != "" {
			_, err := ParsePattern(d.Address)
			o.Fail("address", err)
		}
	}
	return d
}

// address returns the pattern of a device's addresses.
func address(o *conf.Object) string {
	host, port := o.Text("host", ""), o.Text("port", "")
	o.Ignore("mask") // it has no meaning for a device
	if s := o.Text("address", ""); s != "" {
		return s
	}
	host, _, _ = strings.Cut(strings.TrimRight(host, "/"), "/")
	if host == "" || port == "" {
		return host
	}
	return host + ":" + port
}

// ranges reads numbers: 7, "7", "3-9", a list of such, or "*" for all (nil). It
// reports whether it was "*".
func ranges(o *conf.Object, key string) (list []Range, all bool) {
	for _, s := range texts(o, key) {
		if s == "*" {
			return nil, true
		}
		r, err := parseRange(s)
		if err != nil {
			o.Fail(key, err)
			continue
		}
		list = append(list, r)
	}
	return list, false
}

func parseRange(s string) (Range, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	from, err := strconv.ParseUint(strings.TrimSpace(first), 10, 22)
	to, bad := strconv.ParseUint(strings.TrimSpace(last), 10, 22)
	if err != nil || bad != nil || from > to {
		return Range{}, fmt.Errorf("%q is not a number or a range from 0 to %d", s, wire.AnyInstance)
	}
	return Range{First: uint32(from), Last: uint32(to)}, nil
}

// items reads the section attributes or timeseries, which may be "*".
func (l *loader) items(o *conf.Object, section string, attribute bool, d *Device) {
	if raw := o.Peek(section); string(raw) == `"*"` {
		o.OneOf(section, "*", "*")
		d.Items = append(d.Items, Item{Key: "${objectName}", Attribute: attribute, Decimals: l.decimals, Report: l.report})
		return
	}
	for _, i := range o.Objects(section) {
		if it, ok := l.item(i); ok {
			it.Attribute = attribute
			d.Items = append(d.Items, it)
		}
		i.Finish()
	}
}

// item reads an item. It reports false if the item is left out.
func (l *loader) item(o *conf.Object) (it Item, ok bool) {
	before := o.Reader().Failures()
	it = Item{Key: o.Required("key"), Decimals: decimals(o, l.decimals), Report: conf.ReportPolicy(o, l.report)}
	types := texts(o, "objectType")
	for _, s := range types {
		if s == "*" {
			it.Objects.Types = nil
			break
		}
		t, err := wire.ParseObjectType(s)
		o.Fail("objectType", err)
		it.Objects.Types = append(it.Objects.Types, t)
	}
	if len(types) == 0 {
		o.Failf("objectType", "is missing")
	}
	var all bool
	it.Objects.Instances, all = ranges(o, "objectId")
	if !all && len(it.Objects.Instances) == 0 && o.Reader().Failures() == before {
		o.Failf("objectId", "is missing")
	}
	if raw := o.Peek("objectId"); raw != nil && isListOfTypes(o) && !all {
		if raw[0] == '"' || raw[0] == '[' {
			o.Warn("objectId", "a list of object types goes with the objectId * or a number, the item is left out")
			return it, false
		}
	}
	if it.Objects.Types == nil && !all {
		o.Failf("objectType", "* goes with the objectId * only")
	}
	l.properties(o, &it)
	if o.Reader().Failures() == before {
		_, err := newItem(it)
		o.Fail("", err)
	}
	return it, true
}

func isListOfTypes(o *conf.Object) bool {
	raw := o.Peek("objectType")
	return len(raw) > 0 && raw[0] == '['
}

// texts returns a list of texts, or a text or a number that stands alone.
func texts(o *conf.Object, key string) []string {
	raw := o.Peek(key)
	if raw == nil {
		return nil
	}
	if raw[0] != '"' && raw[0] != '[' {
		return []string{strconv.FormatInt(o.Int(key, 0, 0, wire.AnyInstance), 10)}
	}
	list := o.Strings(key)
	for i, s := range list {
		list[i] = strings.TrimSpace(s)
	}
	return list
}

// properties reads the properties of an item, and which element of them is meant.
func (l *loader) properties(o *conf.Object, it *Item) {
	for _, s := range texts(o, "propertyId") {
		if s == "*" {
			it.Properties = append(it.Properties, wire.AllProperties)
			continue
		}
		p, n, err := parseProperty(s)
		if err != nil {
			o.Fail("propertyId", err)
			continue
		}
		it.Properties, it.Element = append(it.Properties, p), n
	}
	if len(it.Properties) == 0 && !o.Has("propertyId") {
		o.Failf("propertyId", "is missing")
	}
	if n := o.Int("arrayIndex", -1, 0, 1<<31-1); n == 0 {
		it.Element = -1
	} else if n > 0 {
		it.Element = int(n)
	}
}

// writeCommand reads a command. It is taken for a write.
func writeCommand(o *conf.Object, name string) Command {
	c := Command{Method: o.Required(name), Write: true, Kind: o.Text("dataType", "")}
	t, err := wire.ParseObjectType(o.Required("objectType"))
	if o.Has("objectType") {
		o.Fail("objectType", err)
	}
	n := o.Int("objectId", 0, 0, wire.AnyInstance)
	if !o.Has("objectId") {
		o.Failf("objectId", "is missing")
	}
	c.Object = wire.NewObjectID(t, uint32(n))
	if s := o.Required("propertyId"); s != "" {
		c.Property, c.Element, err = parseProperty(s)
		o.Fail("propertyId", err)
	}
	if i := o.Int("arrayIndex", -1, 0, 1<<31-1); i == 0 {
		c.Element = -1
	} else if i > 0 {
		c.Element = int(i)
	}
	c.Priority = uint8(o.Int("priority", wire.NoPriority, 1, 16))
	if c.Kind != "" {
		if _, ok := wire.ParseKind(c.Kind); !ok {
			o.Failf("dataType", "%q is not one of boolean, unsigned, signed, real, double, octetString, characterString, bitString, enumerated, date, time, objectIdentifier", c.Kind)
		}
	}
	return c
}
