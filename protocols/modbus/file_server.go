package modbus

import (
	"cmp"
	"log/slog"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/internal/params"
)

// server reads the section "slave": the gateway as a Modbus slave.
func (f *file) server(o *conf.Object) {
	defer o.Finish()
	before := f.r.Failures()
	s := &Server{Device: f.device(o), MaxConnections: int(o.Int("maxConnections", 0, 1, 10000))}
	s.Device.Name = cmp.Or(s.Device.Name, "Modbus Slave")
	s.Device.Timeout, s.Device.Retries = DefaultTimeout, -1 // it is its own device, and answers at once
	s.URL = f.url(o, "0.0.0.0")
	s.Identity = identity(o.Object("identity"))
	f.values(o.Object("values"), s)
	if f.r.Failures() == before {
		f.cfg.Server = s
		f.checkServer(o, s)
	}
}

func (f *file) checkServer(o *conf.Object, s *Server) {
	if err := (Config{Server: s}).Validate(); err != nil {
		for _, e := range split(err) {
			o.Fail("", e)
		}
	}
}

func identity(o *conf.Object) Identity {
	defer o.Finish()
	return Identity{
		VendorName: o.Text("vendorName", ""), ProductCode: o.Text("productCode", ""), Revision: o.Text("revision", ""),
		VendorURL: o.Text("vendorUrl", ""), ProductName: o.Text("productName", ""),
		ModelName: o.Text("ModelName", o.Text("modelName", "")),
	}
}

// values reads the tables of the server.
func (f *file) values(values *conf.Object, s *Server) {
	defer values.Finish()
	for _, t := range tables() {
		section := section(values, t.key)
		for _, key := range [...]string{"attributes", "timeseries"} {
			for _, tag := range section.Objects(key) {
				n := len(s.Device.Registers)
				f.polled(tag, &s.Device, key == "attributes", int64(t.read))
				for _, r := range s.Device.Registers[n:] {
					f.initial(tag, r, s)
				}
				tag.Finish()
			}
		}
		for _, tag := range members(section, "attributeUpdates") {
			if c, ok := f.serverCommand(tag, cmp.Or(t.write, t.read), s); ok {
				s.Device.AttributeUpdates = append(s.Device.AttributeUpdates, c)
			}
			tag.Finish()
		}
		for _, tag := range members(section, "rpc") {
			if c, ok := f.serverCommand(tag, t.read, s); ok {
				s.Device.RPC = append(s.Device.RPC, c)
			}
			tag.Finish()
		}
		section.Finish()
	}
}

func (f *file) serverCommand(tag conf.Member, function uint8, s *Server) (Command, bool) {
	c, ok := f.command(tag, &s.Device, int64(function))
	if !ok {
		return c, false
	}
	cmd, err := newCommand(c)
	if err != nil {
		return c, false // was reported
	}
	r := c.Register
	r.Key, r.Table = c.Method, cmd.table
	f.initial(tag.Object, r, s)
	return c, true
}

// initial reads what a register holds at the start.
func (f *file) initial(tag *conf.Object, r Register, s *Server) {
	doc := tag.Raw("value")
	if doc == nil {
		return
	}
	v, err := params.Value(doc)
	if err != nil {
		tag.Fail("value", err)
		return
	}
	r.Variants, r.Bit, r.Scale, r.Divider = nil, nil, 0, 0 // it is what the register holds
	field, err := newField(r, r.Table)
	if err == nil {
		_, err = field.encode(v)
	}
	if err != nil {
		f.log.Warn("initial value does not fit its register, which starts at zero", slog.String("path", tag.At("")), slog.Any("error", err))
		return
	}
	s.Initial = append(s.Initial, Initial{Register: r, Value: v})
}
