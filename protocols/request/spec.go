package request

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A spec is a compiled Request.
type spec struct {
	base    *url.URL // nil: the URL is absolute
	url     *expr.Template
	origins []string // where credentials go
	method  string
	headers map[string]string
	body    bodyTemplate
	form    map[string]*expr.Template

	redirects      bool
	timeout, total time.Duration
	tries          int
}

// An outgoing is a request that is about to be sent.
type outgoing struct {
	*spec

	url         *url.URL
	trusted     bool // it gets the credentials
	body        []byte
	contentType string
	conditions  map[string]string // headers of a conditional request
}

func (r *outgoing) conditional() bool { return len(r.conditions) > 0 }

// parseHost returns the URL that others are relative to, or nil for an empty text.
func parseHost(host string) (*url.URL, error) {
	host = strings.TrimSpace(host)
	if host == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	u, err := url.Parse(host)
	if err != nil {
		return nil, reasonOf(err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of an HTTP server", host)
	}
	return u, nil
}

// reasonOf returns err without the URL, which may hold a password.
func reasonOf(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// compile compiles r. The names of keys in errors are those of files.
func (r Request) compile(base *url.URL, urlKey, bodyKey string, fail func(key string, err error)) *spec {
	s := &spec{
		base: base, url: expr.Compile(r.URL), method: strings.ToUpper(strings.TrimSpace(r.Method)), headers: r.Headers,
		body: compileBody(r.Body), redirects: r.Redirects, timeout: r.Timeout, total: r.TotalTimeout, tries: max(r.Tries, 1),
	}
	if s.method == "" {
		s.method = http.MethodGet
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if s.total <= 0 {
		s.total = max(DefaultTotalTimeout, s.timeout)
	}
	fail(urlKey, s.url.Check())
	fail(bodyKey, s.body.template.Check())
	if !httpguts.ValidHeaderFieldName(s.method) {
		fail("httpMethod", fmt.Errorf("%q is not a method", r.Method))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Headers)) {
		if !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(r.Headers[key]) {
			fail("httpHeaders", fmt.Errorf("%q is not a header", key))
		}
	}
	if r.Form != nil {
		s.form = make(map[string]*expr.Template)
	}
	for key, text := range r.Form {
		s.form[key] = expr.Compile(text)
		fail(bodyKey+"."+key, s.form[key].Check())
	}
	s.compileOrigins(r.URL, urlKey, fail)
	return s
}

// compileOrigins finds out which hosts the configuration names.
func (s *spec) compileOrigins(text, urlKey string, fail func(key string, err error)) {
	if s.base != nil {
		s.origins = append(s.origins, origin(s.base))
	}
	if !absolute(text) {
		if s.base == nil && !strings.HasPrefix(text, "${") {
			fail(urlKey, errors.New("is relative, and there is no host"))
		}
		return
	}
	literal, _, open := strings.Cut(text, "${")
	_, rest, _ := strings.Cut(literal, "://")
	if open && !strings.ContainsAny(rest, "/?") {
		return // the host itself is a value
	}
	u, err := url.Parse(literal)
	switch {
	case err != nil:
		fail(urlKey, reasonOf(err))
	case u.Host == "":
		fail(urlKey, fmt.Errorf("%q names no host", literal))
	default:
		s.origins = append(s.origins, origin(u))
	}
}

func absolute(text string) bool {
	text = strings.ToLower(text)
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// build makes a request.
func (s *spec) build(look lookup) (*outgoing, error) {
	text, err := urlText(s.url, look)
	if err != nil {
		return nil, err
	}
	u, err := s.resolve(text)
	if err != nil {
		return nil, err
	}
	r := s.to(u)
	if s.form != nil {
		values := make(url.Values)
		for key, t := range s.form {
			value, err := t.Expand(func(name string, _ bool) (string, error) {
				v, err := look(name)
				return v.text, err
			})
			if err != nil {
				return nil, err
			}
			values.Set(key, value)
		}
		r.body, r.contentType = []byte(values.Encode()), "application/x-www-form-urlencoded"
		return r, nil
	}
	body, err := s.body.expand(look)
	if err != nil {
		return nil, err
	}
	r.body = []byte(body)
	switch {
	case len(body) == 0:
	case strings.ContainsRune("{[", rune(body[0])) && json.Valid(r.body):
		r.contentType = "application/json"
	default:
		r.contentType = "text/plain; charset=utf-8"
	}
	return r, nil
}

// to returns a request to u, without a body.
func (s *spec) to(u *url.URL) *outgoing {
	return &outgoing{spec: s, url: u, trusted: slices.Contains(s.origins, origin(u))}
}

// resolve returns the URL of a text. A relative one is joined to the host by one slash.
func (s *spec) resolve(text string) (*url.URL, error) {
	if !absolute(text) {
		if s.base == nil {
			return nil, errors.New("the URL is relative, and there is no host")
		}
		text = strings.TrimSuffix(s.base.String(), "/") + "/" + strings.TrimPrefix(text, "/")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", reasonOf(err))
	}
	if u.Host == "" {
		return nil, fmt.Errorf("URL %q names no host", text)
	}
	return u, nil
}
