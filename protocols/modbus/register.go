package modbus

import (
	"fmt"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Table is one of the four address spaces of a Modbus device.
type Table uint8

// The tables, with the function that reads them.
const (
	Holding  Table = iota // holding registers, function 3
	Input                 // input registers, function 4
	Coil                  // coils, function 1
	Discrete              // discrete inputs, function 2
)

// String returns the table's name.
func (t Table) String() string {
	switch t {
	case Holding:
		return "holding register"
	case Input:
		return "input register"
	case Coil:
		return "coil"
	case Discrete:
		return "discrete input"
	default:
		return fmt.Sprintf("table %d", uint8(t))
	}
}

func (t Table) readFunction() uint8 {
	switch t {
	case Input:
		return readInputRegisters
	case Coil:
		return readCoils
	case Discrete:
		return readDiscreteInputs
	default:
		return readHoldingRegisters
	}
}

// bits reports whether the table holds bits rather than registers.
func (t Table) bits() bool { return t == Coil || t == Discrete }

// A DataType is how registers or bits make up a value.
type DataType uint8

// The data types. Numbers become telemetry integers and floats, Bool and a single
// bit of Bits booleans, several Bits an array of booleans, String and Bytes text.
const (
	Uint16  DataType = iota // one register; on a table of bits the zero value means Bool
	Int16                   // one register
	Uint32                  // two registers
	Int32                   // two registers
	Float32                 // two registers, IEEE 754
	Uint64                  // four registers
	Int64                   // four registers
	Float64                 // four registers, IEEE 754
	Float16                 // one register, IEEE 754
	Uint8                   // the high byte of a register
	Int8                    // the high byte of a register
	Bool                    // a coil, or a register that is not zero, or its bit Bit
	Bits                    // Count bits, the first address or lowest bit first
	String                  // Count registers of UTF-8, without the NULs at its end
	Bytes                   // Count registers as hexadecimal text
)

// registers returns how many registers a value takes; 0 if Count says.
func (t DataType) registers() int {
	switch t {
	case Uint16, Int16, Float16, Uint8, Int8:
		return 1
	case Uint32, Int32, Float32:
		return 2
	case Uint64, Int64, Float64:
		return 4
	default:
		return 0
	}
}

// numeric reports whether values are numbers.
func (t DataType) numeric() bool { return t < Bool }

// An Order is the order of the bytes of a value that the letters A (most
// significant) to D stand for. Values of 16 bits have two bytes, AB or BA; those
// of 64 bits continue the pattern. It does not apply to text and bits.
type Order uint8

// The orders. The reference gateway calls them by byteOrder and wordOrder.
const (
	ABCD Order = iota // big-endian: byteOrder BIG, wordOrder BIG
	CDAB              // words swapped: byteOrder BIG, wordOrder LITTLE
	BADC              // bytes swapped: byteOrder LITTLE, wordOrder BIG
	DCBA              // little-endian: byteOrder LITTLE, wordOrder LITTLE
)

func (o Order) swapsWords() bool { return o == CDAB || o == DCBA }
func (o Order) swapsBytes() bool { return o == BADC || o == DCBA }

// A Register is a value of a device.
type Register struct {
	// Key is the telemetry or attribute key.
	Key string

	// Table and Address say where the value begins. Addresses are those of the
	// protocol, from 0 (register 40001 of a manual is holding register 0).
	Table   Table
	Address uint16

	Type  DataType
	Order Order

	// Count is the number of registers of String and Bytes, and of bits of
	// Bits. Zero: 1.
	Count int

	// Bit, if not nil, picks one bit of Bool and Bits: bit 0 is the lowest of
	// the first register, or the first coil.
	Bit *int

	// Number makes a picked bit, or each of several Bits, the number 0 or 1
	// instead of a boolean.
	Number bool

	// Round, if not nil, rounds a floating-point reading to so many decimals,
	// half to even, before it is scaled.
	Round *int

	// Scale multiplies and Divider divides a number. Zero: 1. A Scale of 0.1,
	// 0.01 and so on divides by 10, 100..., which is exact.
	Scale   float64
	Divider float64

	// Times names numeric registers of the same device, such as transformer
	// ratios, whose latest readings multiply this one. Until all of them were
	// read, this one is not reported.
	Times []string

	// Variants replaces readings: their text (True, 2.5, 17) is the map's key.
	Variants map[string]telemetry.Value

	// Encoding is how String is encoded. Zero: UTF8.
	Encoding Encoding

	// Min and Max, if not nil, drop the numeric readings that are below or
	// above, after scaling: they are not reported.
	Min, Max *float64

	// Quirks converts as the reference gateway does where it is at odds with
	// the specification: bits of an answer come from the first two bytes only,
	// those of coils in reverse within each byte, and those of registers with
	// the high byte first, of which there is one for each bit that Count names;
	// function 15 writes 16 coils, reversed likewise; and text keeps its NULs.
	Quirks bool

	firstBit bool // of an array of bits, the first is written and the rest ignored

	// Attribute reports the value as an attribute instead of as telemetry.
	Attribute bool

	// Writable allows writing by remote procedure call and by shared
	// attribute, with Key as the name. WriteMultiple writes with function 16
	// (or 15) even what function 6 (or 5) could write.
	Writable      bool
	WriteMultiple bool

	// Poll is the time from poll to poll. Zero: that of the device.
	Poll time.Duration

	// Report is the report policy. Nil: that of the device.
	Report *telemetry.ReportPolicy
}

// words returns how many registers r takes; 0 on a table of bits.
func (r Register) words() int {
	f, err := newField(r, r.Table)
	if err != nil || r.Table.bits() {
		return 0
	}
	return f.count
}

// A Command is a remote procedure or a shared attribute that reads or writes a
// value which need not be polled.
type Command struct {
	// Method is the method of the remote procedure, or the attribute's key.
	Method string

	// Function is 1 to 4 to read, or 5, 6, 15 or 16 to write.
	Function uint8

	// Register says what is read or written. Its Key and Table do not matter.
	Register Register
}
