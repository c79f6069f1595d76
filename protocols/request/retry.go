package request

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of the delays between tries.
const (
	shortestDelay = 500 * time.Millisecond
	longestDelay  = 30 * time.Second
	longestAfter  = time.Hour // of Retry-After
)

// A statusError is a response that is no success.
type statusError struct {
	status int
	detail string
	after  time.Duration // that the server asks to wait; zero: nothing said
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP %d %s", e.status, http.StatusText(e.status))
	if e.detail != "" {
		text += ": " + e.detail
	}
	return strings.TrimSpace(text)
}

var (
	errTooLarge  = errors.New("the response is larger than maxBytes")
	errDowngrade = errors.New("it redirects from https to http")
	errRedirects = errors.New("it redirects more than 10 times")
)

// again reports whether a request that failed is worth another try, and safe.
func again(method string, err error) bool {
	if errors.Is(err, errTooLarge) || errors.Is(err, errDowngrade) || errors.Is(err, errRedirects) {
		return false
	}
	safe := slices.Contains([]string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}, method)
	var status *statusError
	if errors.As(err, &status) {
		switch status.status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return true
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusGatewayTimeout:
			return safe
		default:
			return false
		}
	}
	var op *net.OpError
	return safe || errors.As(err, &op) && op.Op == "dial"
}

// retryAfter returns how long a server asks to wait, an hour at most.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if s, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(s)*time.Second, longestAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestAfter)
}

// afterOf returns how long the server asks to wait by err.
func afterOf(err error) time.Duration {
	var status *statusError
	if errors.As(err, &status) {
		return status.after
	}
	return 0
}
