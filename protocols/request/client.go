package request

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/internal/backoff"
)

// A client sends requests. It is safe for concurrent use.
type client struct {
	auth       Auth
	tls        func() (*tls.Config, error)
	maxBytes   int64
	maxConns   int
	maxHeaders int64

	mu        sync.Mutex
	transport *http.Transport
	made      *tls.Config // what transport was made with
}

func newClient(c Config) *client {
	return &client{auth: c.Auth, tls: c.TLS, maxBytes: c.MaxBytes, maxConns: c.MaxConnections, maxHeaders: 1 << 20}
}

// use returns a transport with the certificates of now.
func (c *client) use() (*http.Transport, error) {
	var conf *tls.Config
	if c.tls != nil {
		var err error
		if conf, err = c.tls(); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil && c.made == conf {
		return c.transport, nil
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxConnsPerHost: c.maxConns, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: c.maxHeaders,
	}
	if conf != nil {
		t.TLSClientConfig = conf.Clone()
	} else {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.transport, c.made = t, conf
	return t, nil
}

// close closes the connections that are not in use.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// do sends r, several times if need be.
func (c *client) do(ctx context.Context, r *outgoing) (*Response, error) {
	wait := backoff.Backoff{Shortest: shortestDelay, Longest: longestDelay}
	for n := 1; ; n++ {
		resp, err := c.send(ctx, r)
		if err == nil || n >= r.tries || ctx.Err() != nil || !again(r.method, err) {
			return resp, err
		}
		delay := max(wait.Next(), afterOf(err))
		if delay > longestDelay+longestDelay/5 || backoff.Sleep(ctx, delay) != nil {
			return nil, err
		}
	}
}

// send sends r once. Any status but a success, and 304 if that was asked for, is an
// error, which names the request but not its query, where secrets may be.
func (c *client) send(ctx context.Context, r *outgoing) (*Response, error) {
	resp, err := c.exchange(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, shown(r.url), err)
	}
	return resp, nil
}

func (c *client) exchange(ctx context.Context, r *outgoing) (*Response, error) {
	ctx, cancelTotal := context.WithTimeoutCause(ctx, r.total, fmt.Errorf("it takes longer than %v", r.total))
	defer cancelTotal()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(r.timeout, func() { cancel(fmt.Errorf("no answer within %v", r.timeout)) })
	defer silence.Stop()
	heard := func() { silence.Reset(r.timeout) }
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { heard() },
		WroteRequest: func(httptrace.WroteRequestInfo) { heard() },
	})
	req, err := c.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	transport, err := c.use()
	if err != nil {
		return nil, err
	}
	h := &http.Client{Transport: transport, CheckRedirect: r.redirect}
	resp, err := h.Do(req)
	if err != nil {
		return nil, reason(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing more is read
	if ok := resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified && r.conditional(); !ok {
		c.refused(req, resp)
		return nil, failure(resp)
	}
	body, err := readAll(resp.Body, c.maxBytes, heard)
	if err != nil {
		return nil, reason(ctx, err)
	}
	return &Response{URL: resp.Request.URL.String(), Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// prepare returns the request of net/http for r.
func (c *client) prepare(ctx context.Context, r *outgoing) (*http.Request, error) {
	var body io.Reader
	if len(r.body) > 0 {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), body)
	if err != nil {
		return nil, err
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for key, value := range r.conditions {
		req.Header.Set(key, value)
	}
	if !r.trusted {
		return req, nil
	}
	switch {
	case c.auth.Token != nil:
		token, err := c.auth.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	case c.auth.User != "":
		req.SetBasicAuth(c.auth.User, c.auth.Password)
	}
	for key, value := range r.headers {
		if strings.EqualFold(key, "Host") {
			req.Host = value
		}
		req.Header.Set(key, value)
	}
	return req, nil
}

// redirect judges a redirect. What was configured for one host is not shown to
// another.
func (r *outgoing) redirect(req *http.Request, via []*http.Request) error {
	const most = 10
	first := via[0].URL
	switch {
	case !r.redirects:
		return http.ErrUseLastResponse
	case len(via) >= most:
		return errRedirects
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return errDowngrade
	}
	if origin(first) != origin(req.URL) {
		req.Header.Del("Authorization")
		for key := range r.headers {
			req.Header.Del(key)
		}
	}
	return nil
}

// reason returns why a request has failed: the end of its context says more than the
// error that this causes, and the URL is named already.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// readAll reads a body of at most limit bytes.
func readAll(r io.Reader, limit int64, heard func()) ([]byte, error) {
	var b bytes.Buffer
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		heard()
		if int64(b.Len()+n) > limit {
			return nil, fmt.Errorf("%w (%d)", errTooLarge, limit)
		}
		b.Write(chunk[:n])
		if errors.Is(err, io.EOF) {
			return b.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// refused tells of a token that was refused.
func (c *client) refused(req *http.Request, resp *http.Response) {
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if resp.StatusCode == http.StatusUnauthorized && c.auth.Refused != nil && ok {
		c.auth.Refused(token)
	}
}

// failure returns the error of a response that is no success.
func failure(resp *http.Response) error {
	const most = 200
	e := &statusError{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, most)) // as much as there is
	text := strings.Join(strings.Fields(string(body)), " ")
	if utf8.ValidString(text) && !strings.HasPrefix(text, "<") {
		e.detail = text
	}
	if resp.StatusCode/100 == 3 {
		e.detail = fmt.Sprintf("it redirects to %q, and allowRedirects is off", resp.Header.Get("Location"))
	}
	return e
}

// shown returns what messages call a URL.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// origin returns the scheme and the host of u.
func origin(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }
