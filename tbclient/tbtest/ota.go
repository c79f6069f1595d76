package tbtest

import (
	"bytes"
	"crypto/md5" //nolint:gosec // a checksum that the platform offers
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/twmb/murmur3"
)

// An otaPackage is firmware or software that is assigned to the gateway.
type otaPackage struct{ image []byte }

// SetFirmware assigns a package to the gateway: kind is "fw" for firmware or
// "sw" for software. The gateway is told by its shared attributes, such as
// fw_title, and can then ask for the image in chunks. The algorithm of the
// checksum is one of MD5, SHA256, SHA384, SHA512, CRC32, MURMUR3_32 and
// MURMUR3_128.
func (s *Server) SetFirmware(kind, title, version string, image []byte, algorithm string) error {
	if kind != "fw" && kind != "sw" {
		return fmt.Errorf("tbtest: kind of package %q is neither fw nor sw", kind)
	}
	sum, err := checksum(algorithm, image)
	if err != nil {
		return err
	}
	s.event(func() { s.packages[kind] = &otaPackage{bytes.Clone(image)} })
	return s.PushAttributes(Gateway, map[string]any{
		kind + "_title":              title,
		kind + "_version":            version,
		kind + "_tag":                title + " " + version,
		kind + "_size":               len(image),
		kind + "_checksum":           sum,
		kind + "_checksum_algorithm": algorithm,
	})
}

// checksum returns a checksum as the platform writes it: in hexadecimal, and
// those of the last three kinds from the least significant byte up.
func checksum(algorithm string, image []byte) (string, error) {
	var sum []byte
	switch algorithm {
	case "MD5":
		b := md5.Sum(image) //nolint:gosec // as above
		sum = b[:]
	case "SHA256":
		b := sha256.Sum256(image)
		sum = b[:]
	case "SHA384":
		b := sha512.Sum384(image)
		sum = b[:]
	case "SHA512":
		b := sha512.Sum512(image)
		sum = b[:]
	case "CRC32":
		sum = binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(image))
	case "MURMUR3_32":
		sum = binary.LittleEndian.AppendUint32(nil, murmur3.Sum32(image))
	case "MURMUR3_128":
		low, high := murmur3.Sum128(image)
		sum = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, low), high)
	default:
		return "", fmt.Errorf("tbtest: unknown checksum algorithm %q", algorithm)
	}
	return hex.EncodeToString(sum), nil
}

// A chunkTopic is v2/fw/request/$request/chunk/$chunk, or the same of sw.
type chunkTopic struct {
	kind, request string
	chunk         int
}

func parseChunkTopic(topic string) (chunkTopic, bool) {
	parts := strings.Split(topic, "/")
	if len(parts) != 6 || parts[0] != "v2" || parts[1] != "fw" && parts[1] != "sw" || parts[2] != "request" || parts[4] != "chunk" {
		return chunkTopic{}, false
	}
	chunk, err := strconv.ParseUint(parts[5], 10, 31)
	if _, err2 := strconv.ParseUint(parts[3], 10, 31); err != nil || err2 != nil {
		return chunkTopic{}, false
	}
	return chunkTopic{kind: parts[1], request: parts[3], chunk: int(chunk)}, true
}

// maxChunkSizes bounds the requests of a session whose chunk size is kept.
const maxChunkSizes = 1000

// chunkRequest answers a request for a chunk. The payload is the size of chunks
// in digits; if it is empty, the last size of the request counts, or else the
// chunk is the whole image.
func (se *session) chunkRequest(c chunkTopic, payload []byte) (after func() error, err error) {
	key := c.kind + "/" + c.request
	size := se.chunks[key]
	if len(payload) > 0 {
		if size, err = strconv.Atoi(string(payload)); err != nil || size < 0 {
			return nil, ending(reasonImplementation, "chunk size is not a number")
		}
	}
	if size > se.srv.cfg.MaxPayload {
		return nil, se.chunkError(c, "PAYLOAD_TOO_LARGE")
	}
	if se.chunks == nil || len(se.chunks) >= maxChunkSizes {
		se.chunks = make(map[string]int)
	}
	se.chunks[key] = size
	se.srv.mu.Lock()
	p := se.srv.packages[c.kind]
	se.srv.mu.Unlock()
	if p == nil {
		return nil, se.chunkError(c, "NOT_FOUND")
	}
	lose, corrupt := se.srv.faults.nextChunk()
	if lose {
		return nil, nil
	}
	b := chunkOf(p.image, size, c.chunk)
	if corrupt && len(b) > 0 {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 0xff
	}
	topic := fmt.Sprintf("v2/%s/response/%s/chunk/%d", c.kind, c.request, c.chunk)
	return func() error { return se.send(topic, b) }, nil
}

// chunkOf returns a chunk of an image; past the end it is empty.
func chunkOf(image []byte, size, chunk int) []byte {
	if size == 0 {
		size = len(image)
	}
	start := min(int64(size)*int64(chunk), int64(len(image)))
	end := min(start+int64(size), int64(len(image)))
	return image[start:end]
}

// chunkError reports an error on its own topic. The connection ends without an
// acknowledgement.
func (se *session) chunkError(c chunkTopic, text string) error {
	if err := se.send("v2/"+c.kind+"/error", []byte(text)); err != nil {
		return err
	}
	return ending(reasonImplementation, "package: "+text)
}
