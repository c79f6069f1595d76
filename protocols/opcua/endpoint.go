package opcua

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
	"github.com/gopcua/opcua/uasc"
)

// An endpoint is one that a server offers, and that was chosen.
type endpoint struct {
	policy string
	mode   ua.MessageSecurityMode
	cert   []byte // of the server
	tokens []*ua.UserTokenPolicy
}

// policies are the names of the security policies in configurations, with those of
// their URIs.
func policies() map[string]string {
	return map[string]string{
		"none": ua.SecurityPolicyURINone, "basic128rsa15": ua.SecurityPolicyURIBasic128Rsa15, "basic256": ua.SecurityPolicyURIBasic256,
		"basic256sha256":      ua.SecurityPolicyURIBasic256Sha256,
		"aes128sha256rsaoaep": ua.SecurityPolicyURIAes128Sha256RsaOaep,
		"aes256sha256rsapss":  ua.SecurityPolicyURIAes256Sha256RsaPss,
	}
}

// policyURI returns the URI of a policy, whose name may be written with
// underscores, or be the URI. Empty: it is not known.
func policyURI(name string) string {
	name = name[strings.LastIndexByte(name, '#')+1:]
	name = strings.ToLower(strings.ReplaceAll(name, "_", ""))
	if name == "" {
		name = "none"
	}
	return policies()[name]
}

func (s Security) plain() bool { return policyURI(s.Policy) == ua.SecurityPolicyURINone }

func (s Security) mode() ua.MessageSecurityMode {
	switch strings.ToLower(s.Mode) {
	case "", "signandencrypt":
		return ua.MessageSecurityModeSignAndEncrypt
	case "sign":
		return ua.MessageSecurityModeSign
	default:
		return ua.MessageSecurityModeInvalid
	}
}

func (s Security) validate() error {
	if policyURI(s.Policy) == "" {
		return fmt.Errorf("security: %q is not one of None, Basic128Rsa15, Basic256, Basic256Sha256, Aes128Sha256RsaOaep, Aes256Sha256RsaPss", s.Policy)
	}
	if (s.Cert == "") != (s.Key == "") {
		return errors.New("security: a certificate and its key are needed, there is one of the two")
	}
	if !s.plain() && s.mode() == ua.MessageSecurityModeInvalid {
		return fmt.Errorf("security: mode %q is not Sign or SignAndEncrypt", s.Mode)
	}
	if s.plain() && s.Mode != "" && !strings.EqualFold(s.Mode, "none") {
		return fmt.Errorf("security: mode %q needs a policy", s.Mode)
	}
	return nil
}

// discover asks the server for its endpoints, and returns the one that cfg
// demands, whose certificate is trusted.
func discover(ctx context.Context, cfg Config, cred *credentials) (*endpoint, error) {
	none := &endpoint{policy: ua.SecurityPolicyURINone, mode: ua.MessageSecurityModeNone}
	l, err := open(ctx, cfg, none.channel(cfg, &credentials{}))
	if err != nil {
		return nil, fmt.Errorf("ask for endpoints: %w", err)
	}
	defer l.close(true)
	res, err := send[*ua.GetEndpointsResponse](ctx, l, &ua.GetEndpointsRequest{EndpointURL: cfg.URL})
	if err != nil {
		return nil, fmt.Errorf("ask for endpoints: %w", err)
	}
	policy, mode := policyURI(cfg.Security.Policy), cfg.Security.mode()
	e := find(res.Endpoints, policy, mode)
	if e == nil {
		return nil, fmt.Errorf("the server does not offer %s with %s; it offers %s", shortPolicy(policy), shortMode(mode), offers(res.Endpoints))
	}
	if err := cred.trust.check(e.ServerCertificate, time.Now()); err != nil {
		return nil, err
	}
	return &endpoint{policy: policy, mode: mode, cert: e.ServerCertificate, tokens: e.UserIdentityTokens}, nil
}

func find(list []*ua.EndpointDescription, policy string, mode ua.MessageSecurityMode) *ua.EndpointDescription {
	for _, e := range list {
		if e.SecurityPolicyURI == policy && e.SecurityMode == mode {
			return e
		}
	}
	return nil
}

func offers(list []*ua.EndpointDescription) string {
	names := make([]string, 0, len(list))
	for _, e := range list {
		names = append(names, shortPolicy(e.SecurityPolicyURI)+" with "+shortMode(e.SecurityMode))
	}
	return strings.Join(names, ", ")
}

func shortPolicy(uri string) string { return uri[strings.LastIndexByte(uri, '#')+1:] }

func shortMode(m ua.MessageSecurityMode) string {
	return strings.TrimPrefix(m.String(), "MessageSecurityMode")
}

// channel returns the configuration of a secure channel to e.
func (e *endpoint) channel(cfg Config, cred *credentials) *uasc.Config {
	c := &uasc.Config{
		SecurityPolicyURI: e.policy, SecurityMode: e.mode, RequestTimeout: cfg.Timeout,
		Lifetime: uint32(tokenLifetime / time.Millisecond),
		LocalKey: cred.key, UserKey: cred.key,
	}
	if e.policy != ua.SecurityPolicyURINone {
		c.Certificate, c.RemoteCertificate, c.Thumbprint = cred.cert, e.cert, uapolicy.Thumbprint(e.cert)
	}
	return c
}

// confirm checks that the session is one with the server of the endpoint, and takes
// over what an unprotected channel only learns now.
func (e *endpoint) confirm(ch *uasc.SecureChannel, res *ua.CreateSessionResponse, nonce []byte) error {
	if e.mode == ua.MessageSecurityModeNone {
		if found := find(res.ServerEndpoints, e.policy, e.mode); found != nil {
			e.tokens, e.cert = found.UserIdentityTokens, found.ServerCertificate
		}
		if len(res.ServerCertificate) > 0 {
			e.cert = res.ServerCertificate
		}
		return nil
	}
	if !bytes.Equal(res.ServerCertificate, e.cert) {
		return errors.New("the server's certificate is another than that of its endpoint")
	}
	if res.ServerSignature == nil {
		return errors.New("the server has not signed")
	}
	if err := ch.VerifySessionSignature(res.ServerCertificate, nonce, res.ServerSignature.Signature); err != nil {
		return fmt.Errorf("the server's signature is wrong: %w", err)
	}
	if find(res.ServerEndpoints, e.policy, e.mode) == nil && len(res.ServerEndpoints) > 0 {
		return errors.New("the endpoint was not one of the server's")
	}
	return nil
}

// authenticate completes the request that activates a session.
func (e *endpoint) authenticate(ch *uasc.SecureChannel, cfg Config, cred *credentials, res *ua.CreateSessionResponse, req *ua.ActivateSessionRequest) error {
	sig, alg, err := ch.NewSessionSignature(e.cert, res.ServerNonce)
	if err != nil {
		return err
	}
	req.ClientSignature = &ua.SignatureData{Algorithm: alg, Signature: sig}
	token, err := e.identify(ch, cfg, cred, res.ServerNonce, req)
	if err != nil {
		return err
	}
	req.UserIdentityToken = ua.NewExtensionObject(token)
	return nil
}

// identify returns the token of the configured identity.
func (e *endpoint) identify(ch *uasc.SecureChannel, cfg Config, cred *credentials, nonce []byte, req *ua.ActivateSessionRequest) (any, error) {
	id := cfg.Identity
	anonymous := e.token(ua.UserTokenTypeAnonymous)
	switch {
	case id.User != "":
		return e.user(ch, id, nonce)
	case id.Certificate, id.CertificateOrAnonymous && anonymous == nil:
		t := e.token(ua.UserTokenTypeCertificate)
		if t == nil {
			return nil, errors.New("the server does not accept certificates of users")
		}
		sig, alg, err := ch.NewUserTokenSignature(t.SecurityPolicyURI, e.cert, nonce)
		if err != nil {
			return nil, err
		}
		req.UserTokenSignature = &ua.SignatureData{Algorithm: alg, Signature: sig}
		return &ua.X509IdentityToken{PolicyID: t.PolicyID, CertificateData: cred.cert}, nil
	case anonymous == nil && len(e.tokens) > 0:
		return nil, errors.New("the server does not accept anonymous sessions")
	case anonymous == nil:
		return &ua.AnonymousIdentityToken{PolicyID: "Anonymous"}, nil
	default:
		return &ua.AnonymousIdentityToken{PolicyID: anonymous.PolicyID}, nil
	}
}

// user returns the token of a user. The password is encrypted, with the server's
// best policy for passwords; only an operator who has chosen no security at all,
// at a server that has none, sends it as it is.
func (e *endpoint) user(ch *uasc.SecureChannel, id Identity, nonce []byte) (any, error) {
	t := e.token(ua.UserTokenTypeUserName)
	if t == nil {
		return nil, errors.New("the server does not accept user names")
	}
	policy := t.SecurityPolicyURI
	if policy == "" {
		policy = e.policy
	}
	if policy == ua.SecurityPolicyURINone && e.mode == ua.MessageSecurityModeSign {
		return nil, errors.New("the server wants the password in clear text on a channel that is not encrypted")
	}
	secret, alg, err := ch.EncryptUserPassword(policy, id.Password, e.cert, nonce)
	if err != nil {
		return nil, fmt.Errorf("encrypt the password: %w", err)
	}
	return &ua.UserNameIdentityToken{PolicyID: t.PolicyID, UserName: id.User, Password: secret, EncryptionAlgorithm: alg}, nil
}

// token returns the policy for tokens of a kind, preferably one that encrypts.
func (e *endpoint) token(kind ua.UserTokenType) (found *ua.UserTokenPolicy) {
	for _, t := range e.tokens {
		if t.TokenType == kind && (found == nil || weak(found.SecurityPolicyURI) && !weak(t.SecurityPolicyURI)) {
			found = t
		}
	}
	return found
}

func weak(policy string) bool {
	switch policy {
	case "", ua.SecurityPolicyURINone, ua.SecurityPolicyURIBasic128Rsa15, ua.SecurityPolicyURIBasic256:
		return true
	default:
		return policyURI(policy) == ""
	}
}
