package meter

import (
	"encoding/json"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// Type returns the connector type "modbus" of configuration files, as modbus.Type
// does, in which a slave can have the "profile" of a meter. It takes the place of
// modbus.Type in a program.
func Type(opts ...modbus.TypeOption) connector.Type {
	return connector.Type{
		Name: "modbus",
		New: func(cfg json.RawMessage, env connector.Env) (connector.Connector, error) {
			c := &Connector{units: make(map[string]*unit)}
			typ := modbus.Type(append([]modbus.TypeOption{modbus.WithProfiles(c.profiles())}, opts...)...)
			inner, err := typ.New(cfg, env)
			if err != nil {
				return nil, err
			}
			c.inner = inner
			return c, nil
		},
	}
}

// profiles returns all profiles. Those that a file names are read when it names them,
// and their meters become units of c.
func (c *Connector) profiles() modbus.Profiles {
	m := make(modbus.Profiles)
	for _, name := range Names() {
		var loaded *Profile
		m[name] = func(d modbus.Device, doc json.RawMessage) (modbus.Device, error) {
			if loaded == nil {
				p, err := Load(name)
				if err != nil {
					return d, err
				}
				loaded = p
			}
			d, err := fromFile(d, loaded, doc)
			if err == nil {
				c.units[d.Name] = newUnit(loaded, d)
			}
			return d, err
		}
	}
	return m
}
