package tbtest

import "bytes"

// A login is what a client shows of itself.
type login struct {
	username, password, clientID string
	hasUsername, hasPassword     bool
	certificate                  []byte // DER; nil: none
	verified                     bool   // by TLS
}

// An identity is whom credentials belong to.
type identity struct {
	name    string // of a provisioned device
	gateway bool
}

// A credential is what a login must show: the certificate, the token, or those
// of the other fields that are not empty.
type credential struct {
	identity
	token                        string
	username, password, clientID string
	certificate                  []byte
}

func (c *credential) matches(l login) bool {
	switch {
	case c.certificate != nil || l.certificate != nil:
		return bytes.Equal(c.certificate, l.certificate)
	case c.token != "":
		return l.username == c.token
	default:
		return (c.username != "" || c.password != "" || c.clientID != "") &&
			(c.username == "" || c.username == l.username) &&
			(c.password == "" || c.password == l.password) &&
			(c.clientID == "" || c.clientID == l.clientID)
	}
}

// identify returns whose credentials a login has, and the code of CONNACK.
func (s *Server) identify(l login, version byte) (identity, byte) {
	if code := s.faults.refuseConnect(version); code != 0 {
		return identity{}, code
	}
	cfg := &s.cfg
	configured := identity{gateway: !cfg.NotGateway}
	s.mu.Lock()
	defer s.mu.Unlock()
	certificates := false
	for i := range s.credentials {
		c := &s.credentials[i]
		certificates = certificates || c.certificate != nil
		if c.matches(l) {
			return c.identity, 0
		}
	}
	if l.certificate != nil && l.verified && !certificates {
		return configured, 0
	}
	own := []credential{{token: cfg.Token}, {username: cfg.Username, password: cfg.Password, clientID: cfg.ClientID}}
	if own[0].token == "" {
		own = own[1:]
	}
	open := cfg.Token == "" && cfg.Username == "" && cfg.Password == "" && cfg.ClientID == "" && len(s.credentials) == 0
	for i := range own {
		if open || own[i].matches(l) {
			return configured, 0
		}
	}
	return identity{}, refusedLogin(l, version)
}

// refusedLogin returns the code of CONNACK for a login that is unknown.
func refusedLogin(l login, version byte) byte {
	const badIdentifier, notAuthorised = 2, 5
	onlyID := !l.hasUsername && !l.hasPassword && l.clientID != "" && l.certificate == nil
	switch {
	case version != 5 && onlyID:
		return badIdentifier
	case version != 5:
		return notAuthorised
	case onlyID:
		return reasonClientID
	case l.certificate == nil && (l.hasUsername || l.hasPassword):
		return reasonCredentials
	default:
		return reasonNotAuthorised
	}
}
