package modbus

import (
	"context"
	"encoding/binary"
	"sync"
	"time"
)

// An Identity is what a server says of itself by function 43, type 14 (MODBUS
// Application Protocol Specification V1.1b3, section 6.21). The first three have
// to be there, and are empty if they are not known.
type Identity struct {
	VendorName  string
	ProductCode string
	Revision    string
	VendorURL   string
	ProductName string
	ModelName   string
}

func (id Identity) objects() [6]string {
	return [...]string{id.VendorName, id.ProductCode, id.Revision, id.VendorURL, id.ProductName, id.ModelName}
}

// An image is the four tables of a server. Only the addresses that were defined
// exist. Its methods may be called concurrently.
type image struct {
	identity Identity

	mu    sync.Mutex
	words [2]map[uint16]uint16 // by Table
	bits  [2]map[uint16]bool   // by Table - Coil
}

func newImage(id Identity) *image {
	return &image{
		identity: id,
		words:    [...]map[uint16]uint16{{}, {}},
		bits:     [...]map[uint16]bool{{}, {}},
	}
}

// define makes the addresses of f exist. Those that do already keep what they hold.
func (m *image) define(f *field) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range f.count {
		addr := uint16(f.addr + i)
		if f.table.bits() {
			held := m.bits[f.table-Coil][addr]
			m.bits[f.table-Coil][addr] = held
		} else {
			held := m.words[f.table][addr]
			m.words[f.table][addr] = held
		}
	}
}

// set stores data, as it is encoded, at the addresses of f.
func (m *image) set(f *field, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range f.count {
		addr := uint16(f.addr + i)
		if f.table.bits() {
			m.bits[f.table-Coil][addr] = data[i/8]>>(i%8)&1 != 0
		} else {
			m.words[f.table][addr] = word(data, i)
		}
	}
}

// answer appends the PDU that answers request, which has a byte at least.
func (m *image) answer(dst, request []byte) []byte {
	start := len(dst)
	m.mu.Lock()
	dst, code := m.carryOut(dst, request)
	m.mu.Unlock()
	if code != 0 {
		return append(dst[:start], request[0]|exceptionBit, code)
	}
	return dst
}

func (m *image) carryOut(dst, request []byte) (answer []byte, code uint8) {
	switch request[0] {
	case readCoils, readDiscreteInputs:
		return m.readBits(dst, request)
	case readHoldingRegisters, readInputRegisters:
		return m.readWords(dst, request)
	case writeSingleCoil, writeSingleRegister:
		return m.writeOne(dst, request)
	case writeMultipleCoils, writeMultipleRegisters:
		return m.writeMany(dst, request)
	case encapsulated:
		return m.identify(dst, request)
	default:
		return dst, IllegalFunction
	}
}

// extent reads the address and count of a request, and checks them.
func extent(request []byte, most int) (addr, count int, code uint8) {
	addr, count = int(binary.BigEndian.Uint16(request[1:])), int(binary.BigEndian.Uint16(request[3:]))
	switch {
	case count < 1 || count > most:
		return 0, 0, IllegalDataValue
	case addr+count > 1<<16:
		return 0, 0, IllegalDataAddress
	}
	return addr, count, 0
}

// has reports whether the count addresses from addr on are in table.
func has[V any](table map[uint16]V, addr, count int) bool {
	for i := range count {
		if _, ok := table[uint16(addr+i)]; !ok {
			return false
		}
	}
	return true
}

// coils returns the one table of bits that can be written.
func (m *image) coils() map[uint16]bool { return m.bits[0] }

func (m *image) readBits(dst, request []byte) ([]byte, uint8) {
	if len(request) != 5 {
		return dst, IllegalDataValue
	}
	addr, count, code := extent(request, maxReadBits)
	if code != 0 {
		return dst, code
	}
	table := m.bits[request[0]-readCoils]
	if !has(table, addr, count) {
		return dst, IllegalDataAddress
	}
	dst = append(dst, request[0], byte((count+7)/8))
	for i := range count {
		if i%8 == 0 {
			dst = append(dst, 0)
		}
		if table[uint16(addr+i)] {
			dst[len(dst)-1] |= 1 << (i % 8)
		}
	}
	return dst, 0
}

func (m *image) readWords(dst, request []byte) ([]byte, uint8) {
	if len(request) != 5 {
		return dst, IllegalDataValue
	}
	addr, count, code := extent(request, maxReadRegisters)
	if code != 0 {
		return dst, code
	}
	table := m.words[request[0]-readHoldingRegisters]
	if !has(table, addr, count) {
		return dst, IllegalDataAddress
	}
	dst = append(dst, request[0], byte(2*count))
	for i := range count {
		dst = binary.BigEndian.AppendUint16(dst, table[uint16(addr+i)])
	}
	return dst, 0
}

func (m *image) writeOne(dst, request []byte) ([]byte, uint8) {
	if len(request) != 5 {
		return dst, IllegalDataValue
	}
	addr, value := binary.BigEndian.Uint16(request[1:]), binary.BigEndian.Uint16(request[3:])
	if request[0] == writeSingleRegister {
		if !has(m.words[Holding], int(addr), 1) {
			return dst, IllegalDataAddress
		}
		m.words[Holding][addr] = value
		return append(dst, request...), 0
	}
	switch {
	case value != 0 && value != coilOn:
		return dst, IllegalDataValue
	case !has(m.coils(), int(addr), 1):
		return dst, IllegalDataAddress
	}
	m.coils()[addr] = value == coilOn
	return append(dst, request...), 0
}

func (m *image) writeMany(dst, request []byte) ([]byte, uint8) {
	const header = 6
	if len(request) <= header {
		return dst, IllegalDataValue
	}
	most := maxWriteRegisters
	if request[0] == writeMultipleCoils {
		most = maxWriteBits
	}
	addr, count, code := extent(request, most)
	if code != 0 {
		return dst, code
	}
	data, size := request[header:], 2*count
	if request[0] == writeMultipleCoils {
		size = (count + 7) / 8
	}
	if len(data) != size || int(request[5]) != size {
		return dst, IllegalDataValue
	}
	if request[0] == writeMultipleCoils {
		if !has(m.coils(), addr, count) {
			return dst, IllegalDataAddress
		}
		for i := range count {
			m.coils()[uint16(addr+i)] = data[i/8]>>(i%8)&1 != 0
		}
		return append(dst, request[:5]...), 0
	}
	if !has(m.words[Holding], addr, count) {
		return dst, IllegalDataAddress
	}
	for i := range count {
		m.words[Holding][uint16(addr+i)] = word(data, i)
	}
	return append(dst, request[:5]...), 0
}

// identify answers the function read device identification: its basic (1) or
// regular (2) objects from one on, or a single one (4).
func (m *image) identify(dst, request []byte) ([]byte, uint8) {
	const (
		meiType                       = 14
		basic, regular, extended, one = 1, 2, 3, 4
		conformity                    = 0x82 // regular, also one by one
	)
	switch {
	case len(request) != 4 || request[2] < basic || request[2] > one:
		return dst, IllegalDataValue
	case request[1] != meiType:
		return dst, IllegalFunction
	}
	objects := m.identity.objects()
	first, end := int(request[3]), len(objects)
	switch request[2] {
	case basic:
		end = 3
	case one:
		if first >= end {
			return dst, IllegalDataAddress
		}
		end = first + 1
	}
	if first >= end {
		first = 0 // as the specification has it for streams
	}
	dst = append(dst, encapsulated, meiType, request[2], conformity, 0, 0, 0)
	start := len(dst)
	for i, text := range objects[first:end] {
		text = text[:min(len(text), maxPDU-7-2)]
		if len(dst)-start+2+len(text) > maxPDU-7 {
			dst[start-3], dst[start-2] = 0xFF, byte(first+i) // more follows
			break
		}
		dst = append(append(dst, byte(first+i), byte(len(text))), text...)
		dst[start-1]++
	}
	return dst, 0
}

// An imageTransport is a way to an image within the program.
type imageTransport struct {
	image *image
	out   []byte
}

var _ Transport = (*imageTransport)(nil)

// Exchange implements Transport.
func (t *imageTransport) Exchange(ctx context.Context, _ uint8, request []byte, _ time.Duration) ([]byte, error) {
	t.out = t.image.answer(t.out[:0], request)
	return t.out, ctx.Err()
}

// Close implements Transport.
func (t *imageTransport) Close() error { return nil }
