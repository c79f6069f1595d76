package rest

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// An answer is what a request is answered with.
type answer struct {
	status int    // zero: 200
	reason string // of any other
	device string
	key    string          // of the attribute that was waited for
	value  telemetry.Value // its value

	body        []byte // instead of the texts that are configured
	contentType string // of body
}

// failed returns the answer for an error.
func failed(err error) answer {
	if errors.Is(err, errTrouble) {
		const body = "500 Internal Server Error\n\nServer got itself in trouble"
		return answer{status: http.StatusInternalServerError, body: []byte(body), contentType: plain}
	}
	f := reasonOf(err)
	return answer{status: f.status, reason: f.reason}
}

const (
	plain    = "text/plain; charset=utf-8"
	jsonType = "application/json"
)

// A response is a compiled Response.
type response struct {
	success, failure text
	contentType      string
	expected         bool
	attribute        string
	timeout          time.Duration
}

func compileResponse(r Response, p problems) *response {
	c := &response{
		success: compileText(r.Success, isJSONMedia(media(r.ContentType))), failure: compileText(r.Failure, isJSONMedia(media(r.ContentType))),
		contentType: r.ContentType, expected: r.Expected, attribute: r.Attribute, timeout: r.Timeout,
	}
	if c.timeout <= 0 {
		c.timeout = DefaultAnswerTimeout
	}
	for key, t := range map[string]text{"successResponse": c.success, "unsuccessfulResponse": c.failure} {
		_, err := t.fill(answer{}.lookup)
		p.add(key, err)
	}
	return c
}

// lookup returns the value of a placeholder of a response.
func (a answer) lookup(name string) (telemetry.Value, error) {
	switch name {
	case "deviceName":
		return telemetry.String(a.device), nil
	case "status":
		return telemetry.Int(int64(a.status)), nil
	case "error":
		return telemetry.String(a.reason), nil
	case "attributeKey":
		return telemetry.String(a.key), nil
	case "attributeValue":
		return a.value, nil
	default:
		return telemetry.Value{}, &failure{reason: "placeholder ${" + name + "} is not known"}
	}
}

// write writes a to a client. The response may be nil.
func (a answer) write(w http.ResponseWriter, resp *response) {
	h := w.Header()
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	if a.body == nil {
		a.body, a.contentType = a.text(resp)
	}
	if len(a.body) > 0 {
		h.Set("Content-Type", a.contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that is gone needs no answer
}

// text returns the text of the answer.
func (a answer) text(resp *response) (body []byte, contentType string) {
	ok := a.status == http.StatusOK
	switch {
	case ok && resp == nil:
		return nil, ""
	case ok && a.key != "" && !resp.success.uses("attributeValue"):
		body, contentType = []byte(a.value.String()), plain
	case ok:
		body, contentType = resp.success.render(a)
	case resp != nil && len(resp.failure.parts) > 0:
		body, contentType = resp.failure.render(a)
	default:
		if a.reason == "" {
			a.reason = http.StatusText(a.status)
		}
		return []byte(strconv.Itoa(a.status) + ": " + a.reason), plain
	}
	if resp.contentType != "" {
		contentType = resp.contentType
	}
	return body, contentType
}

// render fills in a text, of which it is known that it has no other placeholders.
func (t text) render(a answer) (body []byte, contentType string) {
	body, err := t.fill(a.lookup)
	switch {
	case err != nil:
		return nil, plain
	case t.json:
		return body, jsonType
	}
	return body, plain
}
