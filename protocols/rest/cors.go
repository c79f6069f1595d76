package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// preflight tells a browser what the page that asks may do. It reports whether that was
// all that was asked for.
func (c *CORS) preflight(h http.Header, req *http.Request, to *route) bool {
	if c == nil {
		return false
	}
	h.Add("Vary", "Origin")
	origin := req.Header.Get("Origin")
	switch {
	case origin == "":
		return false
	case slices.Contains(c.Origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(c.Origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
	default:
		return false
	}
	if req.Method != http.MethodOptions || req.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	headers := "Authorization, Content-Type"
	if len(c.Headers) > 0 {
		headers = strings.Join(c.Headers, ", ")
	}
	h.Set("Access-Control-Allow-Methods", to.methods())
	h.Set("Access-Control-Allow-Headers", headers)
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	}
	return true
}
