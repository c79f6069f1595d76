package filestore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
)

// A Key encrypts what a store writes. The embedding program has to keep it: a
// store without its key cannot be read.
type Key struct {
	// ID names the key in the headers of segments. It has 1 to 8 bytes, is not
	// secret, and is another one for another key.
	ID string

	// Secret is the key itself: 32 random bytes.
	Secret []byte
}

var _ slog.LogValuer = Key{}

// LogValue implements slog.LogValuer. It leaves out the secret.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// String returns the ID, so that a Key that is printed gives no secret away.
func (k Key) String() string { return "key " + k.ID }

// GoString is like String.
func (k Key) GoString() string { return k.String() }

func (k Key) isZero() bool { return k.ID == "" && len(k.Secret) == 0 }

const (
	secretSize = 32
	nonceSize  = 24
	tagSize    = 16
	labelSize  = 8 // of the ID of a key and the name of a codec
)

// A sealer encrypts with one key, by XAES-256-GCM as c2sp.org/XAES-256-GCM
// describes it: the random nonce has 24 bytes, of which 12 select a key of
// AES-256-GCM. Random nonces of that length do not repeat, however often a
// store is opened and whatever its clock and files say.
type sealer struct {
	id    string
	check [labelSize]byte // tells whether a key is the one of this ID
	block cipher.Block
	mask  [aes.BlockSize]byte // K1 of CMAC
}

func newSealer(k Key) (*sealer, error) {
	if len(k.ID) == 0 || len(k.ID) > labelSize {
		return nil, fmt.Errorf("key: the ID %q does not have 1 to %d bytes", k.ID, labelSize)
	}
	if len(k.Secret) != secretSize {
		return nil, fmt.Errorf("key %q: the secret has %d bytes, not %d", k.ID, len(k.Secret), secretSize)
	}
	secret, err := hkdf.Key(sha256.New, k.Secret, nil, "filestore records", secretSize)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", k.ID, err)
	}
	check, err := hkdf.Key(sha256.New, k.Secret, nil, "filestore key check", labelSize)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", k.ID, err)
	}
	s, err := newXAES(secret)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", k.ID, err)
	}
	s.id = k.ID
	copy(s.check[:], check)
	return s, nil
}

func newXAES(secret []byte) (*sealer, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	s := &sealer{block: block}
	block.Encrypt(s.mask[:], s.mask[:])
	msb := s.mask[0] >> 7
	for i := range s.mask {
		next := byte(0)
		if i+1 < len(s.mask) {
			next = s.mask[i+1] >> 7
		}
		s.mask[i] = s.mask[i]<<1 | next
	}
	s.mask[len(s.mask)-1] ^= msb * 0x87
	return s, nil
}

// aead returns the AES-256-GCM of a nonce, and what is left of the nonce.
func (s *sealer) aead(nonce []byte) (cipher.AEAD, []byte, error) {
	var derived [secretSize]byte
	for half := range 2 {
		b := derived[half*aes.BlockSize:][:aes.BlockSize]
		b[1], b[2] = byte(half+1), 'X'
		copy(b[4:], nonce[:12])
		for i := range b {
			b[i] ^= s.mask[i]
		}
		s.block.Encrypt(b, b)
	}
	block, err := aes.NewCipher(derived[:])
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return gcm, nonce[12:], err
}

// seal encrypts b from the position body on, in place, and puts a nonce into
// the nonceSize bytes before. What precedes those from head on is authenticated.
func (s *sealer) seal(b []byte, body int, context []byte) ([]byte, error) {
	nonce := b[body-nonceSize : body]
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	gcm, short, err := s.aead(nonce)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(b[:body], short, b[body:], context), nil
}

var errShortSeal = errors.New("encrypted part too short")

// open appends to dst what seal has encrypted. sealed begins with the nonce.
func (s *sealer) open(dst, sealed, context []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return dst, errShortSeal
	}
	gcm, short, err := s.aead(sealed[:nonceSize])
	if err != nil {
		return dst, err
	}
	return gcm.Open(dst, short, sealed[nonceSize:], context)
}
