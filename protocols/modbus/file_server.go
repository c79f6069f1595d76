package modbus

import (
	"encoding/json"
	"log/slog"
	"strconv"
)

// server reads the section "slave": the gateway as a Modbus slave.
func (f *file) server(o object) {
	before := len(f.r.errs)
	s := &Server{Device: f.device(o), MaxConnections: o.integer("maxConnections", 0, 1, 10000)}
	if s.Device.Name == "" {
		s.Device.Name = "Modbus Slave"
	}
	s.Device.Timeout, s.Device.Retries = DefaultTimeout, -1 // it is its own device, and answers at once
	if !o.has("host") {
		o.fields["host"] = json.RawMessage(`"0.0.0.0"`)
	}
	s.URL = f.url(o)
	if doc, ok := o.raw("identity"); ok {
		if id, ok := f.r.object(o.at("identity"), doc); ok {
			s.Identity = identity(id)
		}
	}
	if doc, ok := o.raw("values"); ok {
		if values, ok := f.r.object(o.at("values"), doc); ok {
			f.values(values, o, s)
		}
	}
	if len(f.r.errs) == before {
		f.cfg.Server = s
		f.checkServer(o, s)
	}
}

func (f *file) checkServer(o object, s *Server) {
	if err := (Config{Server: s}).Validate(); err != nil {
		for _, e := range split(err) {
			f.r.fail(o.path, "%w", e)
		}
	}
}

func identity(o object) Identity {
	o.knows("vendorName", "productCode", "vendorUrl", "productName", "ModelName", "modelName", "revision")
	return Identity{
		VendorName: o.text("vendorName", ""), ProductCode: o.text("productCode", ""), Revision: o.text("revision", ""),
		VendorURL: o.text("vendorUrl", ""), ProductName: o.text("productName", ""),
		ModelName: o.text("ModelName", o.text("modelName", "")),
	}
}

// values reads the tables of the server.
func (f *file) values(values, o object, s *Server) {
	for _, t := range tables() {
		doc, ok := values.raw(t.key)
		if !ok {
			continue
		}
		section, ok := f.r.object(values.at(t.key), doc)
		if !ok {
			continue
		}
		section.knows("attributes", "timeseries", "attributeUpdates", "rpc")
		for _, key := range [...]string{"attributes", "timeseries"} {
			for _, tag := range section.list(key) {
				tag.setFunction(t.read)
				n := len(s.Device.Registers)
				f.polled(tag, o, &s.Device, key == "attributes")
				for _, r := range s.Device.Registers[n:] {
					f.initial(tag, r, s)
				}
			}
		}
		for _, tag := range section.list("attributeUpdates") {
			if c, ok := f.serverCommand(tag, o, t, t.write, s); ok {
				s.Device.AttributeUpdates = append(s.Device.AttributeUpdates, c)
			}
		}
		for _, tag := range f.rpcList(section) {
			if c, ok := f.serverCommand(tag, o, t, t.read, s); ok {
				s.Device.RPC = append(s.Device.RPC, c)
			}
		}
	}
	values.knows("holding_registers", "coils_initializer", "input_registers", "discrete_inputs")
}

// setFunction sets the function code that a tag of a table has not got.
func (o object) setFunction(function uint8) {
	if !o.has("functionCode") {
		o.fields["functionCode"] = json.RawMessage(strconv.Itoa(int(function)))
	}
}

func (f *file) serverCommand(tag, o object, t table, function uint8, s *Server) (Command, bool) {
	if function == 0 {
		function = t.read
	}
	tag.setFunction(function)
	c, ok := f.command(tag, o)
	if !ok {
		return c, false
	}
	cmd, err := newCommand(c)
	if err != nil {
		return c, false // was reported
	}
	r := c.Register
	r.Key, r.Table = c.Method, cmd.table
	f.initial(tag, r, s)
	return c, true
}

// initial reads what a register holds at the start.
func (f *file) initial(tag object, r Register, s *Server) {
	doc, ok := tag.raw("value")
	if !ok {
		return
	}
	v, err := parseParams(doc)
	if err != nil {
		f.r.fail(tag.at("value"), "%w", err)
		return
	}
	r.Variants, r.Bit, r.Scale, r.Divider = nil, nil, 0, 0 // it is what the register holds
	field, err := newField(r, r.Table)
	if err == nil {
		_, err = field.encode(v)
	}
	if err != nil {
		f.log.Warn("initial value does not fit its register, which starts at zero", slog.String("path", tag.path), slog.Any("error", err))
		return
	}
	s.Initial = append(s.Initial, Initial{Register: r, Value: v})
}
