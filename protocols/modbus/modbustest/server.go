package modbustest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"
)

// A Server serves a Bus over TCP.
type Server struct {
	*Bus
	scheme   string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
}

// Listen serves Modbus TCP on addr, such as "127.0.0.1:0".
func Listen(addr string) (*Server, error) { return listen(addr, "tcp", serveMBAP) }

// ListenRTU serves RTU frames in TCP.
func ListenRTU(addr string) (*Server, error) { return listen(addr, "rtuovertcp", serveRTU) }

func listen(addr, scheme string, serve func(*Bus, io.ReadWriter) error) (*Server, error) {
	l, err := net.Listen("tcp", addr) //nolint:noctx // listening does not wait
	if err != nil {
		return nil, err
	}
	s := &Server{Bus: &Bus{}, scheme: scheme, listener: l, conns: make(map[net.Conn]bool)}
	s.wg.Go(func() { s.accept(serve) })
	return s, nil
}

func (s *Server) accept(serve func(*Bus, io.ReadWriter) error) {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.add(c) {
			_ = c.Close() // the server is closed
			return
		}
		s.wg.Go(func() {
			_ = serve(s.Bus, c) // ends with the connection
			s.remove(c)
		})
	}
}

func (s *Server) add(c net.Conn) bool {
	s.Bus.mu.Lock()
	s.opened++
	s.Bus.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close() // served
}

// Addr returns the address, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL returns the URL for modbus.Config.
func (s *Server) URL() string { return s.scheme + "://" + s.Addr() }

// Disconnect closes the connections.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close() // that is the purpose
	}
}

// Close stops the server, closes its connections and waits for its goroutines.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.Disconnect()
	s.mu.Lock()
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func serveMBAP(b *Bus, c io.ReadWriter) error {
	r := bufio.NewReader(c)
	var header [7]byte
	pdu, out := make([]byte, 256), make([]byte, 0, 300)
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(header[4:])) - 1
		if n < 1 || n > len(pdu) {
			return io.ErrUnexpectedEOF
		}
		if _, err := io.ReadFull(r, pdu[:n]); err != nil {
			return err
		}
		var delay time.Duration
		out, delay = b.answer(append(out[:0], header[:]...), header[6], pdu[:n])
		if len(out) == len(header) {
			continue
		}
		binary.BigEndian.PutUint16(out[4:], uint16(len(out)-6))
		time.Sleep(delay)
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}

func serveRTU(b *Bus, c io.ReadWriter) error {
	r := bufio.NewReader(c)
	out := make([]byte, 0, 300)
	for {
		frame, err := readRTU(r)
		if err != nil {
			return err
		}
		var delay time.Duration
		out, delay = b.answer(append(out[:0], frame[0]), frame[0], frame[1:len(frame)-2])
		if len(out) == 1 {
			continue
		}
		out = binary.LittleEndian.AppendUint16(out, crc(out))
		time.Sleep(delay)
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}

// readRTU reads the frame of a request.
func readRTU(r io.Reader) ([]byte, error) {
	frame := make([]byte, 8, 300)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	if frame[1] == 15 || frame[1] == 16 {
		frame = frame[:9+int(frame[6])]
		if _, err := io.ReadFull(r, frame[8:]); err != nil {
			return nil, err
		}
	}
	if n := len(frame) - 2; crc(frame[:n]) != binary.LittleEndian.Uint16(frame[n:]) {
		return nil, io.ErrUnexpectedEOF
	}
	return frame, nil
}

func crc(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}
