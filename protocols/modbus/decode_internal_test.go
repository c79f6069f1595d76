package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/params"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func ptr(n int) *int { return &n }

// value decodes the hexadecimal words of text as r.
func value(t *testing.T, r Register, text string) telemetry.Value {
	t.Helper()
	f, err := newField(r, r.Table)
	require.NoError(t, err)
	raw, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return f.decode(raw, 1)
}

func TestDecode(t *testing.T) {
	i, f := telemetry.Int, telemetry.Float
	tests := []struct {
		name string
		r    Register
		raw  string
		want telemetry.Value
	}{
		{"uint16", Register{}, "FF38", i(65336)},
		{"int16", Register{Type: Int16}, "FF38", i(-200)},
		{"int16 bytes swapped", Register{Type: Int16, Order: BADC}, "38FF", i(-200)},
		{"int16 words swapped is the same", Register{Type: Int16, Order: CDAB}, "FF38", i(-200)},
		{"uint32 ABCD", Register{Type: Uint32}, "AABB CCDD", i(0xAABBCCDD)},
		{"uint32 CDAB", Register{Type: Uint32, Order: CDAB}, "CCDD AABB", i(0xAABBCCDD)},
		{"uint32 BADC", Register{Type: Uint32, Order: BADC}, "BBAA DDCC", i(0xAABBCCDD)},
		{"uint32 DCBA", Register{Type: Uint32, Order: DCBA}, "DDCC BBAA", i(0xAABBCCDD)},
		{"int32", Register{Type: Int32}, "FFFE 7960", i(-100000)},
		{"int64 words swapped", Register{Type: Int64, Order: CDAB}, "FF79 FFFE FFFF FFFF", i(-65671)},
		{"uint64", Register{Type: Uint64}, "0123 4567 89AB CDEF", i(0x0123456789ABCDEF)},
		{"uint64 beyond int64", Register{Type: Uint64}, "8000 0000 0000 0000", f(1 << 63)},
		{"int8 is the high byte", Register{Type: Int8}, "FE7F", i(-2)},
		{"uint8", Register{Type: Uint8}, "FE7F", i(254)},
		{"float32 stays one", Register{Type: Float32}, "4366 199A", telemetry.Float32(230.1)},
		{"float32 CDAB", Register{Type: Float32, Order: CDAB}, "199A 4366", telemetry.Float32(230.1)},
		{"float32 rounded without effect stays one", Register{Type: Float32, Round: ptr(6)}, "4366 199A", telemetry.Float32(230.1)},
		{"float32 rounded", Register{Type: Float32, Round: ptr(2)}, "4049 0FDB", f(3.14)},
		{"float32 rounded half to even", Register{Type: Float32, Round: ptr(0)}, "4020 0000", f(2)},
		{"float32 scaled by its shortest form", Register{Type: Float32, Divider: 10}, "4366 199A", telemetry.Float32(23.01)},
		{"float32 divided by another number", Register{Type: Float32, Divider: 3}, "3F80 0000", f(1.0 / 3)},
		{"float16", Register{Type: Float16}, "3E00", telemetry.Float32(1.5)},
		{"float16 subnormal", Register{Type: Float16, Order: BADC}, "3E00", telemetry.Float32(62.0 / (1 << 24))},
		{"float16 negative", Register{Type: Float16}, "C500", telemetry.Float32(-5)},
		{"float64", Register{Type: Float64}, "C05E DCCC CCCC CCCD", f(-123.45)},
		{"scale 0.1 divides", Register{Scale: 0.1}, "0003", f(0.3)},
		{"scale 0.001 divides", Register{Type: Int32, Scale: 0.001}, "FFFF D8F1", f(-9.999)},
		{"whole scale keeps integers", Register{Scale: 10}, "0017", i(230)},
		{"scale and divider", Register{Scale: 40, Divider: 100}, "0963", f(961.2)},
		{"bool of a register", Register{Type: Bool}, "0100", telemetry.Bool(true)},
		{"bit of a register", Register{Type: Bool, Bit: ptr(11)}, "0800", telemetry.Bool(true)},
		{"bit as a number", Register{Type: Bits, Bit: ptr(3), Number: true}, "0800", i(0)},
		{"one bit is the lowest", Register{Type: Bits}, "0080", telemetry.Bool(false)},
		{"string ends at its NULs", Register{Type: String, Count: 3}, "4142 4344 4500", telemetry.String("ABCDE")},
		{"string that is not UTF-8", Register{Type: String, Count: 2}, "FFC3 0041", telemetry.String("ffc30041")},
		{"bytes", Register{Type: Bytes, Count: 2}, "01FF A0B1", telemetry.String("01ffa0b1")},
		{"coil", Register{Table: Coil}, "01", telemetry.Bool(true)},
		{"variant of a number", Register{Variants: map[string]telemetry.Value{"2": telemetry.String("STOP")}}, "0002", telemetry.String("STOP")},
		{"variant that is not there", Register{Variants: map[string]telemetry.Value{"1": telemetry.String("RUN")}}, "0007", i(7)},
		{"variant of a boolean", Register{Table: Coil, Variants: map[string]telemetry.Value{"True": telemetry.String("ON")}}, "01", telemetry.String("ON")},
		{"variant of a float", Register{Divider: 10, Variants: map[string]telemetry.Value{"2.0": telemetry.String("two")}}, "0014", telemetry.String("two")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := value(t, tt.r, tt.raw)
			require.Equal(t, tt.want, got, "%v, want %v", got, tt.want)
		})
	}
}

func TestBitsComeInTheOrderOfTheirAddresses(t *testing.T) {
	bits := "[true,false,true,true,false,false,false,true,true,true]"
	require.Equal(t, bits, value(t, Register{Table: Coil, Type: Bits, Count: 10}, "8D03").String())
	require.Equal(t, bits, value(t, Register{Type: Bits, Count: 10}, "038D").String())
	require.Equal(t, "[1,0]", value(t, Register{Table: Discrete, Type: Bits, Count: 2, Number: true}, "01").String())
	require.Equal(t, []byte{0b10110110, 0b0}, copyBits(nil, []byte{0b11011000, 0b00001010, 0b1000}, 2, 9))
}

func TestNaNIsNoValue(t *testing.T) {
	require.False(t, value(t, Register{Type: Float32, Round: ptr(6)}, "7FC0 0000").Valid())
}

// TestEveryTypeSurvivesWritingAndReading covers all types and orders.
func TestEveryTypeSurvivesWritingAndReading(t *testing.T) {
	values := map[DataType]telemetry.Value{
		Uint8: telemetry.Int(200), Int8: telemetry.Int(-100), Uint16: telemetry.Int(0xA1B2), Int16: telemetry.Int(-12345),
		Uint32: telemetry.Int(0xA1B2C3D4), Int32: telemetry.Int(-123456789), Uint64: telemetry.Int(0x11A2B3C4D5E6F708),
		Int64: telemetry.Int(math.MinInt64), Float16: telemetry.Float32(-0.333251953125), Float32: telemetry.Float32(230.1),
		Float64: telemetry.Float(-123.456), String: telemetry.String("Grüße"), Bytes: telemetry.String("00ff10aa0000000000000000"),
	}
	for typ, v := range values {
		for order := ABCD; order <= DCBA; order++ {
			f, err := newField(Register{Type: typ, Order: order, Count: 6}, Holding)
			require.NoError(t, err)
			raw, err := f.encode(v)
			require.NoError(t, err)
			require.Len(t, raw, 2*f.count)
			require.Equal(t, v, f.decode(raw, 1), fmt.Sprint(typ, order))
		}
	}
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	s := telemetry.String
	tests := []struct {
		r    Register
		v    telemetry.Value
		want string
	}{
		{Register{Type: Int16}, telemetry.Int(40000), "signed integer of 16 bits"},
		{Register{Type: Int16}, telemetry.Float(-32769), "signed integer of 16 bits"},
		{Register{}, telemetry.Int(-1), "unsigned integer of 16 bits"},
		{Register{}, telemetry.Int(65536), "unsigned integer of 16 bits"},
		{Register{}, telemetry.Float(1.5), "unsigned integer of 16 bits"},
		{Register{}, s("1.5"), "unsigned integer of 16 bits"},
		{Register{}, s("abc"), "unsigned integer of 16 bits"},
		{Register{Type: Uint8}, telemetry.Int(256), "8 bits"},
		{Register{Type: Uint64}, s("18446744073709551616"), "64 bits"},
		{Register{Scale: 0.1}, telemetry.Float(6553.6), "16 bits"},
		{Register{Type: Float32}, telemetry.Float(1e39), "32-bit float"},
		{Register{Type: Float16}, telemetry.Float(65520), "16-bit float"},
		{Register{Type: Float64}, s("NaN"), "not a number"},
		{Register{Type: String, Count: 2}, s("ABCDE"), "does not fit into 2 registers"},
		{Register{Type: String, Count: 2}, s("Ж!!!"), "5 bytes"},
		{Register{Type: Bytes, Count: 1}, s("xyz"), "hexadecimal"},
		{Register{Table: Coil, Type: Bits, Count: 4}, telemetry.Int(16), "4 bits"},
		{Register{Table: Coil, Type: Bits, Count: 4}, s("10101"), "4 digits"},
		{Register{Table: Coil}, s("maybe"), "neither true nor false"},
		{Register{}, telemetry.Value{}, "no value"},
		{Register{Type: Float32}, telemetry.Float(math.NaN()), "no value"},
	}
	for _, tt := range tests {
		f, err := newField(tt.r, tt.r.Table)
		require.NoError(t, err)
		_, err = f.encode(tt.v)
		require.ErrorContains(t, err, tt.want, "%v", tt.v)
	}
}

func TestFloat16IsRoundedToTheNearest(t *testing.T) {
	for h := range 0x7C00 {
		x := float16(uint16(h))
		got, ok := toFloat16(float64(x))
		require.True(t, ok)
		require.Equal(t, uint16(h), got)
		if h > 0 {
			mid := (float64(x) + float64(float16(uint16(h-1)))) / 2
			got, _ := toFloat16(mid)
			require.Zero(t, got&1, "a tie goes to the even neighbour")
		}
	}
}

func TestWriteRequests(t *testing.T) {
	tests := []struct {
		name     string
		function uint8
		r        Register
		value    string // JSON
		pdu      string
	}{
		{"int16", 6, Register{Type: Int16}, `-200`, "06000aff38"},
		{"int16 bytes swapped", 6, Register{Type: Int16, Order: BADC}, `-200`, "06000a38ff"},
		{"uint16 as many", 16, Register{}, `513`, "10000a0001020201"},
		{"float32", 16, Register{Type: Float32}, `22.34`, "10000a00020441b2b852"},
		{"float32 CDAB", 16, Register{Type: Float32, Order: CDAB}, `22.34`, "10000a000204b85241b2"},
		{"float32 BADC", 16, Register{Type: Float32, Order: BADC}, `"22.34"`, "10000a000204b24152b8"},
		{"float64 DCBA", 16, Register{Type: Float64, Order: DCBA}, `-123.45`, "10000a000408cdccccccccdc5ec0"},
		{"uint64 beyond int64", 16, Register{Type: Uint64}, `18446744073709551615`, "10000a000408ffffffffffffffff"},
		{"scaled", 6, Register{Scale: 0.1}, `21.5`, "06000a00d7"},
		{"text in all registers", 16, Register{Type: String, Count: 3}, `"ABCDEF"`, "10000a000306414243444546"},
		{"text is padded", 16, Register{Type: String, Count: 2}, `"ABC"`, "10000a00020441424300"},
		{"number from text", 16, Register{}, `"42"`, "10000a000102002a"},
		{"value in an object", 6, Register{}, `{"value": 7}`, "06000a0007"},
		{"coil on", 5, Register{}, `true`, "05000aff00"},
		{"coil off", 5, Register{}, `0`, "05000a0000"},
		{"coil by text", 5, Register{}, `"1"`, "05000aff00"},
		{"one of many coils off", 15, Register{Type: Bits, Count: 1}, `false`, "0f000a00010100"},
		{"exactly four coils in order", 15, Register{Type: Bits, Count: 4}, `[1, 0, 1, 1]`, "0f000a0004010d"},
		{"coils by text", 15, Register{Type: Bits, Count: 4}, `"1011"`, "0f000a0004010d"},
		{"coils by number", 15, Register{Type: Bits, Count: 4}, `5`, "0f000a00040105"},
		{"ten coils", 15, Register{Type: Bits, Count: 10}, `[true,true,false,false,false,false,false,true,false,true]`, "0f000a000a028302"},
		{"bits of a register", 16, Register{Type: Bits, Count: 16}, `[1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0]`, "10000a0001020101"},
		{"one bit of a register", 6, Register{Type: Bits, Count: 1}, `1`, "06000a0001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Address = 10
			cmd, err := newCommand(Command{Method: "m", Function: tt.function, Register: tt.r})
			require.NoError(t, err)
			v, err := params.Value([]byte(tt.value))
			require.NoError(t, err)
			pdu, err := cmd.writeRequest(cmd.write, v)
			require.NoError(t, err)
			require.Equal(t, tt.pdu, hex.EncodeToString(pdu))
		})
	}
}

func TestImpossibleWritesAreRefusedAtLoad(t *testing.T) {
	tests := []struct {
		c    Command
		want string
	}{
		{Command{Method: "m", Function: 6, Register: Register{Type: Int32}}, "function 6 writes one register, the value takes 2; use 16"},
		{Command{Method: "m", Function: 5, Register: Register{Type: Bits, Count: 2}}, "use 15"},
		{Command{Method: "m", Function: 5, Register: Register{Type: Int32}}, "a coil holds bits"},
		{Command{Method: "m", Function: 9}, "function: 9 is not"},
		{Command{Method: "m", Function: 16, Register: Register{Type: String, Count: 124}}, "up to 123"},
		{Command{Method: "m", Function: 6, Register: Register{Type: Bool, Bit: ptr(1)}}, "would change the others"},
		{Command{Function: 6}, "method: missing"},
	}
	for _, tt := range tests {
		_, err := newCommand(tt.c)
		require.ErrorContains(t, err, tt.want)
	}
}

func TestResponsesThatDoNotFitAreRefused(t *testing.T) {
	read := appendRead(nil, 3, 10, 2)
	write := appendWriteOne(nil, 6, 10, 7)
	tests := []struct {
		request  []byte
		response string
		want     string
	}{
		{read, "0304000a000b", ""},
		{read, "8302", "exception 2 (illegal data address) to function 3"},
		{read, "8363", "exception 99 (unknown code)"},
		{read, "0404000a000b", "malformed"},
		{read, "0302000a", "malformed"},
		{read, "0304000a", "malformed"},
		{read, "0304000a000b00", "malformed"},
		{read, "03", "malformed"},
		{write, "06000a0007", ""},
		{write, "06000a0008", "malformed"},
		{write, "06000b0007", "malformed"},
	}
	for _, tt := range tests {
		response, err := hex.DecodeString(tt.response)
		require.NoError(t, err)
		_, err = checkResponse(tt.request, response)
		if tt.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tt.want)
		}
	}
}

func TestKnownCRC(t *testing.T) {
	// The example of the MODBUS over Serial Line specification, and the frame
	// that switches an ADW300's output.
	frame := appendRTU(nil, 0, []byte{0x10, 0x01, 0xC2, 0x00, 0x01, 0x02, 0x00, 0x01})
	require.Equal(t, "001001c200010200016a22", hex.EncodeToString(frame))
	require.EqualValues(t, 0x1241, crc16([]byte{0x02, 0x07}))
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 7}, uint8(1))
	f.Add(appendRTU(nil, 1, []byte{3, 2, 0, 7}), uint8(1))
	f.Add([]byte{1, 0x83, 2, 0xC0, 0xF1}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, unit uint8) {
		if frame, n, err := parseMBAP(b); err == nil && n > 0 {
			require.Len(t, frame.pdu, n-mbapHeader)
			require.LessOrEqual(t, n, len(b))
		}
		if _, pdu, n := parseRTU(b, frameLength(b)); n > 0 {
			require.Len(t, pdu, n-rtuOverhead)
		}
		request := appendRead(nil, 3, 0, 1)
		if pdu, ok := find(rtuFraming{}, b, unit, request); ok {
			if data, err := checkResponse(request, pdu); err == nil {
				require.Len(t, data, 2)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(4), uint8(1), []byte{0x19, 0x9A, 0x43, 0x66, 0, 0, 0, 0}, 0.1, 6)
	f.Fuzz(func(t *testing.T, typ, order uint8, raw []byte, scale float64, round int) {
		fd, err := newField(Register{Type: DataType(typ), Order: Order(order), Scale: scale, Round: &round, Count: 4}, Holding)
		if err != nil || len(raw) < 2*fd.count {
			return
		}
		v := fd.decode(raw[:2*fd.count], 1)
		if data, err := fd.encode(v); err == nil {
			require.Len(t, data, 2*fd.count)
		}
	})
}

func FuzzReserved(f *testing.F) {
	f.Add("type=16int;functionCode=3;objectsCount=1;address=7;")
	f.Add("type=bits;functionCode=5;objectsCount=1;address=8;value=1")
	f.Add("value=a;b=c; address = 1 ;type=string;functionCode=16;objectsCount=9")
	f.Fuzz(func(t *testing.T, s string) {
		for _, method := range []string{"get", "set"} {
			cmd, v, err := parseReserved(method, telemetry.String(s), ABCD, false)
			if err != nil {
				continue
			}
			require.Equal(t, method == "set", cmd.write != 0)
			if cmd.write != 0 {
				pdu, err := cmd.writeRequest(cmd.write, v)
				if err == nil {
					require.LessOrEqual(t, len(pdu), maxPDU)
					require.EqualValues(t, cmd.addr, binary.BigEndian.Uint16(pdu[1:]))
				}
			}
		}
	})
}

func FuzzASCIIFrames(f *testing.F) {
	f.Add([]byte(":010300000001FB\r\n"), byte(1))
	f.Add([]byte("::01830279\r\n:"), byte(1))
	f.Add([]byte(":0"), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, unit byte) {
		framing := newASCIIFraming()
		for i := range b {
			u, pdu, n := framing.parse(b[i:])
			if n == 0 {
				continue
			}
			require.LessOrEqual(t, n, len(b)-i)
			again, same, m := framing.parse(framing.append(nil, u, append([]byte(nil), pdu...)))
			require.Equal(t, u, again)
			require.NotEmpty(t, same)
			require.Equal(t, framing.length(len(same)), m)
		}
		if len(b) > 0 && len(b) <= maxPDU {
			u, pdu, _ := framing.parse(framing.append(nil, unit, b))
			require.Equal(t, unit, u)
			require.Equal(t, b, pdu)
		}
	})
}

func TestASCIIFramesAreThoseOfTheSpecification(t *testing.T) {
	require.Equal(t, ":010300000001FB\r\n", string(newASCIIFraming().append(nil, 1, []byte{3, 0, 0, 0, 1})))
	_, _, n := newASCIIFraming().parse([]byte(":010300000001FA\r\n"))
	require.Zero(t, n, "a wrong check sum is accepted")
}
