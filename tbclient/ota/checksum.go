package ota

import (
	"crypto/md5" //nolint:gosec // one of the platform's algorithms
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"github.com/twmb/murmur3"
)

// A digest is an algorithm of the platform. The texts that its sum may have are
// those of Guava's HashCode, which writes integers from their lowest byte on, in
// BaseOtaPackageService.java of thingsboard/thingsboard (dao/ota, commit
// 00ad96cbcb92ec26e889634ea130de855c9c922b), and those of ChecksumUtil.java
// (dao/ota/util, commit 2e2174248e05dafd5e57c26392c79f193fcaa93a) of another
// line of versions, which writes a CRC as a plain number without leading zeros.
// The platform's software development kits expect the former.
type digest struct {
	new   func() hash.Hash
	texts func(h hash.Hash) []string
}

// digests returns the algorithm of a name in lower case, or nil.
func digests(name string) *digest {
	switch name {
	case "md5":
		return &digest{md5.New, plain}
	case "sha256":
		return &digest{sha256.New, plain}
	case "sha384":
		return &digest{sha512.New384, plain}
	case "sha512":
		return &digest{sha512.New, plain}
	case "crc32":
		return &digest{func() hash.Hash { return crc32.NewIEEE() }, func(h hash.Hash) []string {
			sum := h.Sum(nil)
			number := fmt.Sprintf("%x", binary.BigEndian.Uint32(sum))
			padded := hex.EncodeToString(sum)
			slices.Reverse(sum)
			return []string{hex.EncodeToString(sum), padded, number}
		}}
	case "murmur3_32":
		return &digest{func() hash.Hash { return murmur3.New32() }, func(h hash.Hash) []string {
			sum := h.Sum(nil)
			slices.Reverse(sum)
			return []string{hex.EncodeToString(sum)}
		}}
	case "murmur3_128":
		return &digest{func() hash.Hash { return murmur3.New128() }, func(h hash.Hash) []string {
			sum := h.Sum(nil)
			slices.Reverse(sum[:8])
			slices.Reverse(sum[8:])
			return []string{hex.EncodeToString(sum)}
		}}
	default:
		return nil
	}
}

func plain(h hash.Hash) []string { return []string{hex.EncodeToString(h.Sum(nil))} }

// verify compares the checksum of a file with the announced one.
func verify(path string, id identity) error {
	d := digests(id.Algorithm)
	if d == nil {
		return fmt.Errorf("the checksum algorithm %q is not known", id.Algorithm)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := d.new()
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if n != id.Size {
		return fmt.Errorf("%w: %d of %d bytes", errChecksum, n, id.Size)
	}
	texts := d.texts(h)
	if !slices.Contains(texts, id.Checksum) {
		return fmt.Errorf("%w: the %s is %s, and %.200s was announced", errChecksum, id.Algorithm, texts[0], id.Checksum)
	}
	return nil
}
