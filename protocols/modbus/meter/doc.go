// Package meter knows the registers of energy meters, so that a Modbus device that
// is one needs no register list:
//
//	modbus.Config{
//		URL: "rtu:///dev/ttyUSB0?baud=9600",
//		Devices: []modbus.Device{
//			meter.Device(meter.ADW300, "feeder-1", 1, 5*time.Second),
//			meter.Device(meter.ADW300, "feeder-2", 2, 5*time.Second,
//				meter.Every(meter.Energy, time.Minute), meter.RatiosFromMeter()),
//		},
//	}
//
// In configuration files, "profile": "acrel-adw300" in a slave does the same if the
// program passes [Profiles] to modbus.WithProfiles. "profileOptions" may hold
//
//	{"groups": ["measurement", "energy"], "periods": {"energy": 60000}, "ratios": "meter"}
//
// with periods in milliseconds, and ratios "off", "meter" or {"pt": 1, "ct": 40}.
//
// # Points
//
// [Points] lists the points of a profile with key, unit, group and source. Each
// point is one numeric telemetry key; the 180 harmonics of the ADW300 are 180 keys
// such as harmonic_voltage_l1_h3, because dashboards and alarms work on numbers and
// not on arrays. Dates and times are the meter's bytes in hexadecimal. By default the
// groups measurement and energy are read, which takes two requests a poll.
//
// # Ratios
//
// A meter on transformers may report primary or secondary values; the manuals often
// do not say which. Nothing is multiplied unless [Ratios] or [RatiosFromMeter] is
// given. The ratios that the meter is set to are reported as the attributes pt_ratio
// and ct_ratio in any case.
package meter
