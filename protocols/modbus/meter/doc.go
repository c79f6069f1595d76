// Package meter knows the registers of energy meters, so that a Modbus device that
// is one needs no register list:
//
//	c := meter.New(modbus.Config{
//		URL: "rtu:///dev/ttyUSB0?baud=9600",
//		Devices: []modbus.Device{
//			meter.Device(meter.ADW300, "feeder-1", 1, 5*time.Second),
//			meter.Device(meter.ADW300, "feeder-2", 2, 5*time.Second,
//				meter.Every(meter.Energy, time.Minute), meter.RatiosFromMeter()),
//		},
//	})
//
// In configuration files, "profile": "acrel-adw300" in a slave does the same if the
// program has the connector type of [Type]. "profileOptions" may hold
//
//	{
//	  "groups": ["measurement", "energy"], "periods": {"energy": 60000},
//	  "ratios": "meter", "arrays": "json", "writableSettings": true
//	}
//
// with periods in milliseconds, ratios "off", "meter" or {"pt": 1, "ct": 40}, and
// arrays "keys" or "json".
//
// # Profiles
//
// [Names] lists the profiles, and the command list in this package's folder prints
// them. A profile is a file with the facts of a register map, its sources, and the
// [Confidence] in it. None was checked against a meter. A [Connector] logs it once
// when a profile is in use whose confidence is below high. A profile is read from the
// program only if it is named.
//
// # Readings
//
// All profiles share their keys and units: V, A, kW, kvar, kVA, Hz, kWh, kvarh, %, °
// and °C. What a meter of one phase measures is that of phase l1. The groups
// measurement and energy are read by default, which takes an ADW300 two requests a
// poll.
//
// The highest number of an unsigned register, the lowest and highest of a signed one,
// and NaN mean that there is no value, and are not reported. A power factor that has no
// sign in the meter has that of its power, which is also reported as the attribute
// power_direction_l1 (1 or -1), and so on.
//
// The 180 harmonics of an ADW300 are 180 keys such as harmonic_voltage_l1_h3, because
// dashboards and alarms work on numbers and not on arrays; [Arrays] makes them six
// arrays. Clocks and times are text such as 2026-01-31T23:59:30, in the meter's time.
//
// # Ratios
//
// A meter on transformers may report primary or secondary values; the manuals often
// do not say which. Nothing is multiplied unless [Ratios] or [RatiosFromMeter] is
// given. The ratios that a meter is set to are reported as the attributes pt_ratio
// and ct_ratio in any case.
//
// # Commands
//
// Outputs and tariff tables can be written by remote procedure, whatever is read; other
// settings with [WritableSettings] only. [Connector.HandleRPC] has the methods for
// clocks, months that are over, and extremes.
//
// # Limits
//
// With RatiosFromMeter, a number that means that there is no value is not recognized in
// the values that are multiplied. The four-quadrant power factors of Schneider meters
// are reported as they are, beyond 1 and -1. What only [New] and [Type] decode is
// hexadecimal text in a connector of modbus.New.
package meter
