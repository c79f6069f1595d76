package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 1 << 20

// An outgoing is a compiled Request.
type outgoing struct {
	Request
	url, value text
	media      string
	client     *http.Client
}

// lookup returns the value of a placeholder.
type lookup = func(name string) (telemetry.Value, error)

func newOutgoing(q Request, p problems) *outgoing {
	o := &outgoing{Request: q}
	for key, value := range q.Headers {
		if strings.EqualFold(key, "Content-Type") {
			o.media = media(value)
		}
	}
	if q.URL == "" {
		p.add("requestUrlExpression", errMissing)
	}
	if scheme, _, ok := strings.Cut(q.URL, "://"); !ok {
		q.URL = "http://" + q.URL
	} else if scheme != "http" && scheme != "https" {
		p.add("requestUrlExpression", fmt.Errorf("%q begins with neither http:// nor https://", q.URL))
	}
	o.url, o.value = compileText(q.URL, false), compileText(q.Value, isJSONMedia(o.media))
	if o.Method = strings.ToUpper(strings.TrimSpace(q.Method)); o.Method == "" {
		o.Method = http.MethodGet
	}
	if strings.ContainsFunc(o.Method, func(c rune) bool { return c < 'A' || c > 'Z' }) {
		p.add("HTTPMethod", fmt.Errorf("%q is no method", q.Method))
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	o.Tries = max(o.Tries, 1)
	o.client = &http.Client{Transport: newTransport(q.TLS)}
	if !q.Redirects {
		o.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return o
}

// newTransport returns a transport that asks for the TLS configuration of each connection.
func newTransport(conf func() (*tls.Config, error)) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: DefaultTimeout}
	if conf == nil {
		return t
	}
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := conf()
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: c}).DialContext(ctx, network, addr)
	}
	return t
}

// send makes the request, as often as it may, and returns the answer. A request that may
// have been carried out is only made again if that does no harm.
func (o *outgoing) send(ctx context.Context, get lookup) ([]byte, error) {
	address, err := o.url.fillURL(get)
	if err != nil {
		return nil, err
	}
	content, err := o.value.fill(get)
	if err != nil {
		return nil, err
	}
	content, kind, err := o.encode(content)
	if err != nil {
		return nil, err
	}
	var wait backoff.Backoff
	for try := 1; ; try++ {
		answer, again, err := o.attempt(ctx, address, content, kind)
		if err == nil || !again || try == o.Tries || wait.Wait(ctx) != nil {
			return answer, err
		}
	}
}

// encode makes the body of JSON where that is asked for.
func (o *outgoing) encode(content []byte) (encoded []byte, kind string, err error) {
	var fields map[string]json.RawMessage
	isForm := o.media == "multipart/form-data" || o.media == "application/x-www-form-urlencoded"
	switch {
	case len(content) == 0:
		return nil, "", nil
	case !isForm && o.value.json:
		return content, jsonType, nil
	case !isForm:
		return content, plain, nil
	case json.Unmarshal(content, &fields) != nil:
		if o.media == "multipart/form-data" {
			return nil, "", errors.New("the value is no JSON object, of which a form could be made")
		}
		return content, o.media, nil
	case o.media == "application/x-www-form-urlencoded":
		form := make(url.Values)
		for name, raw := range fields {
			form.Set(name, fieldText(raw))
		}
		return []byte(form.Encode()), o.media, nil
	}
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for name, raw := range fields {
		if err := w.WriteField(name, fieldText(raw)); err != nil {
			return nil, "", err
		}
	}
	err = w.Close()
	return buf.Bytes(), w.FormDataContentType(), err
}

// fieldText returns a text as it is, and any other JSON as its text.
func fieldText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// attempt makes the request once. It reports whether it can be made again after an error.
func (o *outgoing) attempt(ctx context.Context, address string, content []byte, kind string) (answer []byte, again bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("no answer within %v", o.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, o.Method, address, bytes.NewReader(content))
	if err != nil {
		return nil, false, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for key, value := range o.Headers {
		if !strings.EqualFold(key, "Content-Type") || o.media != "multipart/form-data" {
			req.Header.Set(key, value)
		}
	}
	if o.User != nil {
		req.SetBasicAuth(o.User.Name, o.User.Password)
	}
	harmless := o.Method != http.MethodPost && o.Method != http.MethodPatch
	resp, err := o.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s: %w", address, cause)
		}
		var op *net.OpError
		return nil, harmless || errors.As(err, &op) && op.Op == "dial", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, harmless, fmt.Errorf("%s: the answer: %w", address, err)
	case resp.StatusCode >= 300:
		return nil, resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable || harmless && resp.StatusCode >= 500,
			fmt.Errorf("%s: status %s%s", address, resp.Status, excerpt(answer))
	case len(answer) > maxAnswer:
		return nil, false, fmt.Errorf("%s: the answer has more than %d bytes", address, maxAnswer)
	}
	return answer, false, nil
}

// excerpt returns the start of an answer that says what is wrong.
func excerpt(answer []byte) string {
	s := strings.TrimSpace(string(validUTF8(answer[:min(len(answer), 200)])))
	if s == "" {
		return ""
	}
	return ": " + s
}
