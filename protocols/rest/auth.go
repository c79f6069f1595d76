package rest

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// An auth is a compiled Auth. Secrets are compared by their digests in constant time, so
// that the time of an answer tells nothing of them.
type auth struct {
	basic, bearer [][sha256.Size]byte
	certificate   bool
	names         []string
}

func compileAuth(a Auth) auth {
	c := auth{certificate: a.Certificate, names: a.Names}
	for _, u := range a.Users {
		c.basic = append(c.basic, digest(u.Name, u.Password))
	}
	for _, t := range a.Tokens {
		c.bearer = append(c.bearer, digest("", t))
	}
	return c
}

// digest returns a digest that no other name and secret have.
func digest(name, secret string) [sha256.Size]byte {
	n, s := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(secret))
	return sha256.Sum256(append(n[:], s[:]...))
}

// anonymous reports whether everyone is allowed.
func (a *auth) anonymous() bool { return len(a.basic) == 0 && len(a.bearer) == 0 && !a.certificate }

// allows reports whether the sender of a request is allowed. A certificate is demanded
// besides the other kinds, of which one is enough.
func (a *auth) allows(req *http.Request) bool {
	if a.anonymous() {
		return true
	}
	if a.certificate && !a.certified(req) {
		return false
	}
	if len(a.basic) == 0 && len(a.bearer) == 0 {
		return true
	}
	if name, password, ok := req.BasicAuth(); ok {
		return known(a.basic, digest(name, password))
	}
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && known(a.bearer, digest("", strings.TrimSpace(token)))
}

// certified reports whether a request came with a certificate that the server has
// verified, of one of the names.
func (a *auth) certified(req *http.Request) bool {
	if req.TLS == nil || len(req.TLS.VerifiedChains) == 0 {
		return false
	}
	cert := req.TLS.PeerCertificates[0]
	if len(a.names) == 0 || slices.Contains(a.names, cert.Subject.CommonName) {
		return true
	}
	return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return slices.Contains(a.names, name) })
}

// known reports whether a digest is in a list, all of which it looks at.
func known(list [][sha256.Size]byte, d [sha256.Size]byte) bool {
	found := 0
	for i := range list {
		found |= subtle.ConstantTimeCompare(list[i][:], d[:])
	}
	return found == 1
}

// challenge tells a client how to authenticate.
func (a *auth) challenge(h http.Header) {
	if len(a.basic) > 0 {
		h.Add("WWW-Authenticate", `Basic realm="gateway", charset="UTF-8"`)
	}
	if len(a.bearer) > 0 {
		h.Add("WWW-Authenticate", `Bearer realm="gateway"`)
	}
}
