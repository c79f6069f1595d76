package filestore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
)

// The vectors are those of c2sp.org/XAES-256-GCM.
func TestTheCipherIsXAES256GCM(t *testing.T) {
	nonce, plain := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM")
	for fill, v := range map[byte]struct{ context, want string }{
		1: {"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		3: {"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		s, err := newXAES(bytes.Repeat([]byte{fill}, secretSize))
		if err != nil {
			t.Fatal(err)
		}
		gcm, short, err := s.aead(nonce)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(gcm.Seal(nil, short, plain, []byte(v.context))); got != v.want {
			t.Errorf("%s, want %s", got, v.want)
		}
		want, _ := hex.DecodeString(v.want)
		got, err := s.open(nil, append(bytes.Clone(nonce), want...), []byte(v.context))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("open: %q, %v", got, err)
		}
	}
}

// zeros is a codec that can only leave out zeros at the end.
type zeros struct{}

func (zeros) Name() string { return "zeros" }

func (zeros) Encode(dst, src []byte) []byte { return append(dst, bytes.TrimRight(src, "\x00")...) }

func (zeros) Decode(dst, src []byte, size int) ([]byte, error) {
	if len(src) > size {
		return dst, errors.New("zeros: too large")
	}
	return append(append(dst, src...), make([]byte, size-len(src))...), nil
}

func testKey(id string) Key {
	return Key{ID: id, Secret: bytes.Repeat([]byte(id[:1]), secretSize)}
}

// formats are all kinds of formats, which can read what the others write.
func formats(tb testing.TB) map[string]*format {
	tb.Helper()
	old := Config{OldCodecs: []Codec{zeros{}}, OldKeys: []Key{testKey("k2"), testKey("key")}}
	all := map[string]*format{}
	for name, cfg := range map[string]Config{
		"Plain":      {},
		"Compressed": {Codec: zeros{}},
		"Encrypted":  {Key: testKey("key")},
		"Both":       {Codec: zeros{}, Key: testKey("key")},
	} {
		cfg.OldCodecs, cfg.OldKeys = old.OldCodecs, old.OldKeys
		f, err := newFormat(cfg.withDefaults())
		if err != nil {
			tb.Fatal(err)
		}
		all[name] = f
	}
	return all
}

// run returns records of the offsets from first on, and what is reserved for
// them.
func run(f *format, first uint64, data ...[]byte) (b []byte, reserved int64) {
	for i, d := range data {
		b = appendRecord(b, first+uint64(i), d)
		reserved += f.reserve(len(d))
	}
	return b, reserved
}

func TestContainersKeepRunsWithinWhatIsReserved(t *testing.T) {
	const first = 5<<32 + 7
	data := [][]byte{[]byte("first"), {}, bytes.Repeat([]byte{9}, 5000), make([]byte, 5000)}
	for name, f := range formats(t) {
		for n := 1; n <= len(data); n++ {
			b, reserved := run(f, first, data[len(data)-n:]...)
			c, err := f.pack([]byte("before"), first, uint64(n), b)
			if err != nil || string(c[:6]) != "before" {
				t.Fatalf("%s: %v", name, err)
			}
			if c = c[6:]; int64(len(c)) > reserved {
				t.Errorf("%s: %d records take %d bytes, of %d that are reserved", name, n, len(c), reserved)
			}
			if f.key == nil && (f.codec == nil) == isContainer(c) && n < 3 {
				t.Errorf("%s: it is a container: %v", name, isContainer(c))
			}
			if f.key != nil && bytes.Contains(c, []byte{9, 9, 9, 9, 9, 9}) {
				t.Errorf("%s: the data can be read", name)
			}
			if !isContainer(c) {
				continue
			}
			if !intact(c, first) || intact(c, first+1) || validRecord(c, first) {
				t.Errorf("%s: the container is not what it should be", name)
			}
			for reader, f := range formats(t) {
				out, err := f.unpack([]byte("before"), c, first)
				if err != nil || string(out) != "before"+string(b) {
					t.Errorf("%s read as %s: %d bytes, %v", name, reader, len(out), err)
				}
			}
		}
	}
}

// Containers are bound to their place: nobody can swap them, even if the
// checksum is made to fit.
func TestAnEncryptedContainerCannotBeMoved(t *testing.T) {
	f := formats(t)["Encrypted"]
	b, _ := run(f, 7, []byte("data"))
	c, err := f.pack(nil, 7, 1, b)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(c[8:], 8)
	binary.LittleEndian.PutUint32(c, checksum(8, c[4:]))
	if !intact(c, 8) {
		t.Fatal("the checksum does not fit")
	}
	if _, err := f.unpack(nil, c, 8); !errors.Is(err, errContainer) {
		t.Errorf("it can be read: %v", err)
	}
	head, body := c[recordHead:][:containerHead], c[recordHead+containerHead:]
	if _, err := f.decrypt(body, sealContext(7, head)); err != nil {
		t.Errorf("it cannot be decrypted in its place: %v", err)
	}
	if _, err := f.decrypt(body, sealContext(8, head)); !errors.Is(err, errContainer) {
		t.Errorf("it can be decrypted in another place: %v", err)
	}
}

func TestEncryptedContainersOfTheSameRunDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		f := formats(t)["Encrypted"] // as after a restart
		b, _ := run(f, 1, []byte("data"))
		c, err := f.pack(nil, 1, 1, b)
		if err != nil {
			t.Fatal(err)
		}
		nonce := string(c[recordHead+containerHead:][:nonceSize])
		if seen[nonce] {
			t.Fatal("a nonce is used again")
		}
		seen[nonce] = true
	}
}

func TestAKeyThatIsPrintedKeepsItsSecret(t *testing.T) {
	k := testKey("kkkk")
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), k.LogValue().String(), fmt.Sprintf("%+v", Config{Key: k})} {
		if bytes.Contains([]byte(s), k.Secret[:5]) || bytes.Contains([]byte(s), []byte("107 107")) {
			t.Errorf("%s", s)
		}
	}
}

// FuzzContainer decodes any container whose checksum fits.
func FuzzContainer(f *testing.F) {
	all := formats(f)
	for _, form := range all {
		b, _ := run(form, 3, []byte("a"), make([]byte, 100))
		c, err := form.pack(nil, 3, 2, b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c[recordHead:])
	}
	f.Add(append([]byte{0, 1, 0, 0, 0, 20, 0, 0, 0}, "twenty bytes of junk"...))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := appendRecord(nil, 3, data)
		binary.LittleEndian.PutUint32(c[4:], uint32(len(data))|containerBit)
		binary.LittleEndian.PutUint32(c, checksum(3, c[4:]))
		for name, form := range all {
			out, err := form.unpack([]byte("before"), c, 3)
			if string(out[:6]) != "before" || err != nil && len(out) != 6 {
				t.Fatalf("%s: %d bytes, %v", name, len(out), err)
			}
			if err == nil {
				n, size := containerSize(c)
				if valid, next := validPrefix(out[6:], 3, 3+n); int64(valid) != size || next != 3+n {
					t.Fatalf("%s: %d records of %d bytes", name, next-3, valid)
				}
			}
		}
	})
}

func FuzzLabel(f *testing.F) {
	for _, form := range formats(f) {
		f.Add(form.segmentHeader(9))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := readLabel(b, 9)
		if err == nil && (l.version < plainVersion || l.version > packedVersion || len(l.keyID) > labelSize) {
			t.Fatalf("%+v", l)
		}
	})
}
