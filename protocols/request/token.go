package request

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type tokenFunc = func(context.Context) (string, error)

// Token returns a function for [Auth] that yields a token that never changes.
func Token(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// TokenFile returns a function for [Auth] that reads the token from a file each time, so
// that it can be renewed.
func TokenFile(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		token := strings.TrimSpace(string(b))
		if token == "" || strings.ContainsAny(token, "\r\n") {
			return "", fmt.Errorf("file %s does not hold one line with a token", name)
		}
		return token, nil
	}
}

// ClientCredentials are those with which tokens are obtained from an authorization
// server, see RFC 6749, section 4.4.
type ClientCredentials struct {
	TokenURL         string
	ClientID, Secret string
	Scope            string // may be empty
	TLS              func() (*tls.Config, error)
}

// Auth returns the authentication with tokens that are asked for when there is none that
// is valid for a while, or when one is refused. Concurrent calls wait for one request.
func (cc ClientCredentials) Auth() Auth {
	s := &tokenSource{cc: cc, turn: make(chan struct{}, 1)}
	return Auth{Token: s.token, Refused: s.refused}
}

type tokenSource struct {
	cc   ClientCredentials
	turn chan struct{} // guards the rest

	last    string
	expires time.Time
}

func (s *tokenSource) token(ctx context.Context) (string, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.last != "" && time.Now().Before(s.expires) {
		return s.last, nil
	}
	token, lasts, err := s.ask(ctx)
	if err != nil {
		return "", err
	}
	s.last, s.expires = token, time.Now().Add(lasts)
	return token, nil
}

// refused forgets a token.
func (s *tokenSource) refused(token string) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.last == token {
		s.last = ""
	}
}

// ask asks for a token, and returns how long it can be used.
func (s *tokenSource) ask(ctx context.Context) (token string, lasts time.Duration, err error) {
	const seconds, most = 300, 64 << 10 // if the server does not say how long it lasts; bytes of an answer
	u, err := url.Parse(s.cc.TokenURL)
	if err != nil {
		return "", 0, reasonOf(err)
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.cc.Scope != "" {
		form.Set("scope", s.cc.Scope)
	}
	c := newClient(Config{
		Auth: Auth{User: url.QueryEscape(s.cc.ClientID), Password: url.QueryEscape(s.cc.Secret)}, TLS: s.cc.TLS, MaxBytes: most,
	})
	defer c.close()
	post := &spec{method: http.MethodPost, timeout: DefaultReplyTimeout, total: DefaultTotalTimeout, tries: 1}
	resp, err := c.do(ctx, &outgoing{
		spec: post, url: u, trusted: true, body: []byte(form.Encode()), contentType: "application/x-www-form-urlencoded",
	})
	if err != nil {
		return "", 0, err
	}
	answer := struct {
		Token   string  `json:"access_token"`
		Seconds float64 `json:"expires_in"`
	}{Seconds: seconds}
	if err := json.Unmarshal(resp.Body, &answer); err != nil || answer.Token == "" {
		return "", 0, errors.New("the authorization server's answer has no access_token")
	}
	return answer.Token, time.Duration(min(max(answer.Seconds, 0), 86400) * 0.9 * float64(time.Second)), nil
}
