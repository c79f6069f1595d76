package memstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/eventstore/internal/disk"
)

// A snapshot is the magic "GLEM", the version 1 (4 bytes), the offsets of the
// first record and after the last (8 each), and the CRC-32C of these 24 bytes.
// Each record follows as its length (4 bytes), the CRC-32C of length and data, and
// the data. All numbers are little-endian.
const (
	magic        = "GLEM"
	version      = 1
	headerBytes  = 28
	recordHead   = 8
	tempSuffix   = ".new"
	damageSuffix = ".damaged"
)

var (
	errDamaged    = errors.New("the file is damaged")
	errNewVersion = errors.New("written by a newer version of this package")
)

func checksum(parts ...[]byte) (sum uint32) {
	for _, p := range parts {
		sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
	}
	return sum
}

// Open returns a store that holds what an earlier one has saved to the file at
// path, and that Close saves there. A file that is damaged is renamed to end with
// ".damaged", and what precedes the damage is read. Open fails if the file cannot
// be read or was written by a newer version.
func Open(path string, cfg Config) (*Store, error) {
	s := New(cfg)
	s.path = path
	if s.cfg.Logger == nil {
		s.cfg.Logger = slog.Default()
	}
	err := s.restore()
	if errors.Is(err, errDamaged) {
		s.cfg.Logger.Warn("event store: snapshot is damaged, what follows the damage is lost",
			slog.String("file", path), slog.Uint64("records", s.next-1-s.released))
		err = os.Rename(path, path+damageSuffix)
	}
	if err != nil {
		return nil, fmt.Errorf("memstore: open %s: %w", path, err)
	}
	return s, nil
}

// restore reads the snapshot, if there is one.
func (s *Store) restore() error {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(s.read(bufio.NewReaderSize(f, chunkBytes)), f.Close())
}

// read fills an empty store from a snapshot.
func (s *Store) read(r io.Reader) error {
	var head [headerBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return damaged(err)
	}
	if string(head[:4]) != magic || binary.LittleEndian.Uint32(head[24:]) != checksum(head[:24]) {
		return errDamaged
	}
	if v := binary.LittleEndian.Uint32(head[4:]); v != version {
		return fmt.Errorf("%w: format %d", errNewVersion, v)
	}
	first, next := binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
	if first == 0 || next < first {
		return errDamaged
	}
	s.next, s.released, s.acked = first, first-1, first-1
	var buf []byte
	for s.next < next {
		var err error
		if buf, err = readRecord(r, buf); err != nil {
			return err
		}
		s.push(buf)
	}
	return nil
}

// readRecord reads one record into buf, which it may replace.
func readRecord(r io.Reader, buf []byte) ([]byte, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, damaged(err)
	}
	size := int(binary.LittleEndian.Uint32(head[:]))
	buf = buf[:0]
	for len(buf) < size { // a damaged length costs no more memory than there is data
		from := len(buf)
		buf = append(buf, make([]byte, min(size-from, chunkBytes))...)
		if _, err := io.ReadFull(r, buf[from:]); err != nil {
			return nil, damaged(err)
		}
	}
	if binary.LittleEndian.Uint32(head[4:]) != checksum(head[:4], buf) {
		return nil, errDamaged
	}
	return buf, nil
}

// damaged returns errDamaged if err says that the file ends too early.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errDamaged
	}
	return err
}

// save replaces the snapshot, so that there is an intact one at every moment.
func (s *Store) save() error {
	if err := s.saveTo(s.path + tempSuffix); err != nil {
		return fmt.Errorf("memstore: save: %w", errors.Join(err, os.Remove(s.path+tempSuffix)))
	}
	if err := os.Rename(s.path+tempSuffix, s.path); err != nil {
		return fmt.Errorf("memstore: save: %w", err)
	}
	if err := disk.SyncFolder(filepath.Dir(s.path)); err != nil {
		return fmt.Errorf("memstore: save %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) saveTo(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, chunkBytes)
	if err := s.write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// write writes the snapshot.
func (s *Store) write(w io.Writer) error {
	b := append(make([]byte, 0, headerBytes), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, s.released+1)
	b = binary.LittleEndian.AppendUint64(b, s.next)
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	if _, err := w.Write(b); err != nil {
		return err
	}
	for o := s.released + 1; o < s.next; o++ {
		data := s.records.at(o).Data
		b = binary.LittleEndian.AppendUint32(b[:0], uint32(len(data)))
		b = binary.LittleEndian.AppendUint32(b, checksum(b, data))
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}
