package modbustest

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/modbus"
)

// A Unit is a simulated device. All 65536 addresses of its four tables exist and
// hold zero until they are set or refused. Its methods may be called from any
// goroutine.
type Unit struct {
	mu       sync.Mutex
	words    map[modbus.Table]map[uint16]uint16
	bits     map[modbus.Table]map[uint16]bool
	refusals []refusal
	delay    time.Duration
	silent   bool
	limit    uint16
	before   func(Request)
	requests int64
	writes   []Request
}

type refusal struct {
	table    modbus.Table
	from, to uint16
	code     uint8 // 0: no answer
}

// A Request is what a unit was asked.
type Request struct {
	Function uint8
	Table    modbus.Table
	Address  uint16
	Count    uint16   // registers or bits
	Words    []uint16 // written to registers
	Bits     []bool   // written to coils
	PDU      []byte   // as it came
}

func newUnit() *Unit {
	return &Unit{
		words: map[modbus.Table]map[uint16]uint16{modbus.Holding: {}, modbus.Input: {}},
		bits:  map[modbus.Table]map[uint16]bool{modbus.Coil: {}, modbus.Discrete: {}},
	}
}

// SetWords sets consecutive holding or input registers.
func (u *Unit) SetWords(t modbus.Table, addr uint16, words ...uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, w := range words {
		u.words[t][addr+uint16(i)] = w
	}
}

// SetUint32 sets two registers, the high word first.
func (u *Unit) SetUint32(t modbus.Table, addr uint16, v uint32) {
	u.SetWords(t, addr, uint16(v>>16), uint16(v))
}

// SetFloat32 sets two registers to an IEEE 754 number, the high word first.
func (u *Unit) SetFloat32(t modbus.Table, addr uint16, v float32) {
	u.SetUint32(t, addr, math.Float32bits(v))
}

// SetBits sets consecutive coils or discrete inputs.
func (u *Unit) SetBits(t modbus.Table, addr uint16, bits ...bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, b := range bits {
		u.bits[t][addr+uint16(i)] = b
	}
}

// Word returns a holding or input register.
func (u *Unit) Word(t modbus.Table, addr uint16) uint16 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.words[t][addr]
}

// Bit returns a coil or discrete input.
func (u *Unit) Bit(t modbus.Table, addr uint16) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bits[t][addr]
}

// Refuse makes the unit answer requests that touch the addresses from first to last
// with an exception; code 0 makes it not answer them.
func (u *Unit) Refuse(t modbus.Table, first, last uint16, code uint8) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refusals = append(u.refusals, refusal{t, first, last, code})
}

// Allow takes back all refusals.
func (u *Unit) Allow() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refusals = nil
}

// SetDelay makes the unit answer so much later.
func (u *Unit) SetDelay(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.delay = d
}

// SetSilent makes the unit not answer, or answer again.
func (u *Unit) SetSilent(silent bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.silent = silent
}

// Limit makes the unit not answer requests of more than n registers or bits. Zero is no
// limit.
func (u *Unit) Limit(n uint16) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.limit = n
}

// OnRequest calls f before each request is answered, without a lock held. A unit
// has one such function.
func (u *Unit) OnRequest(f func(Request)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.before = f
}

// Requests returns how many requests reached the unit, answered or not.
func (u *Unit) Requests() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests
}

// Writes returns the requests to write that were answered, oldest first.
func (u *Unit) Writes() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Request(nil), u.writes...)
}

// answer appends the PDU that answers pdu to dst; nothing if there is no answer.
func (u *Unit) answer(dst, pdu []byte) (response []byte, delay time.Duration) {
	r, code := parse(pdu)
	u.mu.Lock()
	before := u.before
	u.requests++
	u.mu.Unlock()
	if before != nil {
		r.PDU = bytes.Clone(pdu)
		before(r)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.silent || u.limit > 0 && r.Count > u.limit {
		return dst, u.delay
	}
	if code == 0 {
		var answered bool
		if code, answered = u.refused(r); !answered {
			return dst, u.delay
		}
	}
	if code != 0 {
		return append(dst, pdu[0]|0x80, code), u.delay
	}
	return u.carryOut(dst, pdu, r), u.delay
}

// refused returns the code of the refusal that r meets, and whether it is answered.
func (u *Unit) refused(r Request) (code uint8, answered bool) {
	last := int(r.Address) + int(r.Count) - 1
	if last > math.MaxUint16 {
		return modbus.IllegalDataAddress, true
	}
	for _, f := range u.refusals {
		if f.table == r.Table && int(f.from) <= last && f.to >= r.Address {
			return f.code, f.code != 0
		}
	}
	return 0, true
}

func (u *Unit) carryOut(dst, pdu []byte, r Request) []byte {
	if r.Words != nil || r.Bits != nil {
		for i, w := range r.Words {
			u.words[r.Table][r.Address+uint16(i)] = w
		}
		for i, b := range r.Bits {
			u.bits[r.Table][r.Address+uint16(i)] = b
		}
		r.PDU = bytes.Clone(pdu)
		u.writes = append(u.writes, r)
		return append(dst, pdu[:5]...)
	}
	dst = append(dst, pdu[0])
	if m, ok := u.words[r.Table]; ok {
		dst = append(dst, byte(2*r.Count))
		for i := range r.Count {
			dst = binary.BigEndian.AppendUint16(dst, m[r.Address+i])
		}
		return dst
	}
	dst = append(dst, byte((r.Count+7)/8))
	start := len(dst)
	for i := range r.Count {
		if i%8 == 0 {
			dst = append(dst, 0)
		}
		if u.bits[r.Table][r.Address+i] {
			dst[start+int(i/8)] |= 1 << (i % 8)
		}
	}
	return dst
}

// parse reads a request PDU. A code that is not 0 is the exception it deserves.
func parse(pdu []byte) (r Request, code uint8) {
	r.Function = pdu[0]
	if len(pdu) < 5 {
		return r, modbus.IllegalDataValue
	}
	r.Address, r.Count = binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	limit := uint16(125)
	switch r.Function {
	case 1:
		r.Table, limit = modbus.Coil, 2000
	case 2:
		r.Table, limit = modbus.Discrete, 2000
	case 3:
		r.Table = modbus.Holding
	case 4:
		r.Table = modbus.Input
	case 5:
		r.Table, r.Bits, r.Count = modbus.Coil, []bool{r.Count == 0xFF00}, 1
	case 6:
		r.Table, r.Words, r.Count = modbus.Holding, []uint16{r.Count}, 1
	case 15, 16:
		return parseMany(pdu, r)
	default:
		return r, modbus.IllegalFunction
	}
	if len(pdu) != 5 || r.Count == 0 || r.Count > limit {
		return r, modbus.IllegalDataValue
	}
	return r, 0
}

func parseMany(pdu []byte, r Request) (Request, uint8) {
	size := 2 * int(r.Count)
	if r.Function == 15 {
		size = (int(r.Count) + 7) / 8
	}
	if len(pdu) != 6+size || int(pdu[5]) != size || r.Count == 0 {
		return r, modbus.IllegalDataValue
	}
	data := pdu[6:]
	if r.Function == 15 {
		r.Table = modbus.Coil
		for i := range int(r.Count) {
			r.Bits = append(r.Bits, data[i/8]>>(i%8)&1 != 0)
		}
		return r, 0
	}
	for i := range int(r.Count) {
		r.Words = append(r.Words, binary.BigEndian.Uint16(data[2*i:]))
	}
	return r, 0
}
