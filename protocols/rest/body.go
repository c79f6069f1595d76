package rest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// A body is the memory for a request's body.
type body struct{ buf bytes.Buffer }

// keepBody is the largest body whose memory is kept for the next one.
const keepBody = 64 << 10

var bodies = sync.Pool{New: func() any { return new(body) }} //nolint:gochecknoglobals // memory only

// read returns the body of a request, of limited size, without its encoding.
func (b *body) read(w http.ResponseWriter, req *http.Request, limit int) ([]byte, error) {
	if b.buf.Cap() > keepBody {
		b.buf = bytes.Buffer{}
	}
	b.buf.Reset()
	if req.ContentLength > int64(limit) {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(limit)
	}
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	var source io.Reader = http.MaxBytesReader(w, req.Body, int64(limit))
	switch encoding := strings.ToLower(req.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(source)
		if err != nil {
			return nil, b.failure(w, err, limit)
		}
		source = z
	default:
		return nil, &failure{http.StatusUnsupportedMediaType, fmt.Sprintf("content encoding %q is not known", encoding)}
	}
	n, err := b.buf.ReadFrom(io.LimitReader(source, int64(limit)+1))
	if err == nil && n > int64(limit) {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, b.failure(w, err, limit)
	}
	return b.buf.Bytes(), nil
}

func tooLarge(limit int) error {
	return &failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", limit)}
}

// failure returns the reason why a body could not be read. The connection is of no use
// any more.
func (*body) failure(w http.ResponseWriter, err error, limit int) error {
	w.Header().Set("Connection", "close")
	var large *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.As(err, &network) && network.Timeout():
		return &failure{http.StatusRequestTimeout, "the body did not arrive in time"}
	}
	return malformed(fmt.Errorf("the body cannot be read: %w", err))
}
