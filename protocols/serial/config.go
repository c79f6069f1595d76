package serial

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridlinks/iot-gateway/internal/framing"
	"github.com/gridlinks/iot-gateway/internal/serialport"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of a [Device].
const (
	DefaultBaud         = 9600
	DefaultDelimiter    = "\n"
	DefaultSilence      = time.Second
	DefaultWriteTimeout = 5 * time.Second
	DefaultReplyTimeout = 5 * time.Second
)

// Config configures a connector.
type Config struct {
	Devices []Device

	// Compatible converts as the Python gateway's example does where that
	// differs: zero, false and empty values are dropped, FromByte counts only
	// without a ToByte other than -1, and a value begins with its FromDelimiter.
	Compatible bool
}

// A Device is a device and its line. Only Name and Port are required.
type Device struct {
	Name    string
	Profile string // "default" if empty

	Port     string // such as /dev/ttyUSB0 or COM3
	Baud     int    // bits per second; DefaultBaud if zero
	DataBits int    // 5 to 8; 8 if zero
	Parity   Parity
	StopBits int  // 1 or 2; 1 if zero
	RTSCTS   bool // hardware flow control
	XONXOFF  bool // software flow control

	Delimiter    string        // that ends a message; DefaultDelimiter if empty
	Silence      time.Duration // that ends one as well; DefaultSilence if zero, none if negative
	MaxBytes     int           // of a message; a longer one is dropped; 64 KiB if zero
	WriteTimeout time.Duration // DefaultWriteTimeout if zero

	Timeseries []Datapoint
	Attributes []Datapoint
	Converter  UplinkConverter // instead of Timeseries and Attributes

	Updates      []AttributeUpdate
	RPCs         []RPC
	LittleEndian bool // numbers are written with the lowest byte first
}

// Parity is the parity bit of a character.
type Parity = serialport.Parity

// The parities.
const (
	NoParity   = serialport.NoParity
	EvenParity = serialport.EvenParity
	OddParity  = serialport.OddParity
)

// A Datapoint is a part of a message and its meaning.
type Datapoint struct {
	Key  string
	Part Part
	Type ValueType

	Report *telemetry.ReportPolicy // nil: that of the connector
}

// A Part is a part of a message. If one of the delimiters is set, the bytes do not
// count. The zero Part is all of it.
type Part struct {
	FromDelimiter  string // it begins after the first of these, or there is none
	UntilDelimiter string // it ends before the next of these, or with the message

	// FromByte and ToByte count from the start, negative ones from the end of
	// the message, delimiter included. A nil ToByte is the end.
	FromByte int
	ToByte   *int
}

// ValueType is what a part of a message holds.
type ValueType uint8

// The types. Numbers and booleans are written as text, with blanks around them or
// not.
const (
	Text  ValueType = iota // without blanks around it
	Int                    // a whole number
	Float                  // a number
	Bool
	JSON
	Hex // any bytes, as lower-case hexadecimal digits
)

// An AttributeUpdate is what is written to the device when a shared attribute
// changes.
type AttributeUpdate struct {
	Key string

	// Format is the text with ${attributeValue}, or the key in braces, for the
	// value.
	Format string
}

// An RPC is a remote procedure call of the device. Its parameters are written to the
// line: a text as it is, and any other JSON as its text, unless Params says
// otherwise.
type RPC struct {
	Method string
	Params ValueType // Int: as few bytes as it takes; Float: 4 or 8 bytes

	WithReply    bool
	Reply        Part
	ReplyType    ValueType
	ReplyTimeout time.Duration // DefaultReplyTimeout if zero
}

func (d Device) withDefaults() Device {
	if d.Profile == "" {
		d.Profile = "default"
	}
	if d.Baud == 0 {
		d.Baud = DefaultBaud
	}
	if d.Delimiter == "" {
		d.Delimiter = DefaultDelimiter
	}
	if d.Silence == 0 {
		d.Silence = DefaultSilence
	}
	if d.WriteTimeout <= 0 {
		d.WriteTimeout = DefaultWriteTimeout
	}
	return d
}

// line returns the settings of the line.
func (d Device) line() serialport.Config {
	return serialport.Config{
		Path: d.Port, Baud: d.Baud, DataBits: d.DataBits, Parity: d.Parity, StopBits: d.StopBits,
		RTSCTS: d.RTSCTS, XONXOFF: d.XONXOFF,
	}
}

func (d Device) framing() framing.Format {
	return framing.Format{Delimiter: []byte(d.Delimiter), Keep: true, Gap: max(0, d.Silence), Max: d.MaxBytes}
}

// check returns what is wrong with c.
func (c Config) check() error {
	var errs []error
	names := make(map[string]bool)
	for i, d := range c.Devices {
		if err := d.check(); err != nil {
			errs = append(errs, fmt.Errorf("devices[%d] (%s): %w", i, d.Name, err))
		}
		if names[d.Name] {
			errs = append(errs, fmt.Errorf("devices[%d].name: %q is used twice", i, d.Name))
		}
		names[d.Name] = true
	}
	return errors.Join(errs...)
}

func (d Device) check() error {
	if d.Name == "" {
		return errors.New("name: is missing")
	}
	for _, p := range slices.Concat(d.Timeseries, d.Attributes) {
		if p.Key == "" {
			return errors.New("key: is missing")
		}
	}
	return errors.Join(d.line().Validate(), d.framing().Check())
}
