package meter

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// Profiles returns the profiles of high confidence without reservation, for
// modbus.WithProfiles. [Type] has all of them, because it can log what is uncertain,
// which modbus.Type cannot.
func Profiles() modbus.Profiles {
	m := make(modbus.Profiles)
	for _, name := range Names() {
		p, err := Load(name)
		if err == nil && p.Confidence == High && p.Why == "" {
			m[name] = func(d modbus.Device, doc json.RawMessage) (modbus.Device, error) {
				return fromFile(d, p, doc)
			}
		}
	}
	return m
}

// fromFile makes d a meter by the profileOptions of a configuration file.
func fromFile(d modbus.Device, p *Profile, doc json.RawMessage) (modbus.Device, error) {
	opts, err := parseOptions(doc)
	if err != nil {
		return d, err
	}
	return complete(d, p, newOptions(opts))
}

// parseOptions reads the profileOptions of a configuration file. Unknown members are
// mistakes: there is no older form of it that could have had others.
func parseOptions(doc json.RawMessage) ([]Option, error) {
	if len(doc) == 0 {
		return nil, nil
	}
	r := conf.NewReader(slog.New(slog.DiscardHandler))
	o := r.Root(doc)
	var opts []Option
	if o.Has("groups") {
		var groups []Group
		for _, name := range o.Strings("groups") {
			groups = append(groups, Group(name))
		}
		opts = append(opts, Groups(groups...))
	}
	if o.Has("periods") {
		periods := o.Object("periods")
		for _, name := range periods.Keys() {
			opts = append(opts, Every(Group(name), periods.Duration(name, time.Millisecond, 0)))
		}
	}
	if o.OneOf("arrays", "keys", "keys", "json") == "json" {
		opts = append(opts, Arrays())
	}
	if o.Flag("writableSettings", false) {
		opts = append(opts, WritableSettings())
	}
	opts = append(opts, ratios(o)...)
	for _, key := range o.Keys() {
		switch key {
		case "groups", "periods", "arrays", "writableSettings", "ratios":
		default:
			o.Failf(key, "is unknown; there are groups, periods, ratios, arrays and writableSettings")
		}
	}
	return opts, r.Done()
}

// ratios reads "off", "meter" or {"pt": 1, "ct": 40}.
func ratios(o *conf.Object) []Option {
	switch doc := string(o.Peek("ratios")); {
	case doc == "" || doc == "null":
		return nil
	case doc[0] == '"':
		if o.OneOf("ratios", "off", "off", "meter") == "meter" {
			return []Option{RatiosFromMeter()}
		}
		return nil
	case doc[0] != '{':
		o.Fail("ratios", errors.New(`is none of "off", "meter" and {"pt": 1, "ct": 40}`))
		return nil
	}
	fixed := o.Object("ratios")
	return []Option{Ratios(fixed.Float("pt", 1, 0, math.MaxFloat64), fixed.Float("ct", 1, 0, math.MaxFloat64))}
}
