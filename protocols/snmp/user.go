package snmp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gosnmp/gosnmp"
)

// A User is a user of SNMP version 3 (the user-based security model, RFC 3414).
type User struct {
	Name string

	// Auth and Priv name the protocols of authentication and encryption; empty:
	// none. Auth is MD5, SHA, SHA-224, SHA-256, SHA-384 or SHA-512; Priv is DES,
	// AES, AES-192, AES-256, or AES-192-C and AES-256-C with the key extension of
	// Reeder's draft that Cisco uses. Case and hyphens do not matter.
	Auth, Priv string

	// AuthPassword and PrivPassword have eight characters at least.
	AuthPassword, PrivPassword string

	// ContextName and ContextEngine (in hexadecimal) are those of requests. Empty:
	// the default context of the agent.
	ContextName, ContextEngine string
}

// String returns u without its passwords.
func (u User) String() string { return fmt.Sprintf("{%s %s %s}", u.Name, u.Auth, u.Priv) }

// GoString returns u without its passwords.
func (u User) GoString() string { return u.String() }

// minPassword is the fewest characters of a password (RFC 3414, section 11.2).
const minPassword = 8

func (u User) validate() error {
	var errs []error
	if u.Name == "" {
		errs = append(errs, errors.New("security.username: missing"))
	}
	auth, err := authProtocol(u.Auth)
	errs = append(errs, err)
	priv, err := privProtocol(u.Priv)
	errs = append(errs, err)
	if priv != gosnmp.NoPriv && auth == gosnmp.NoAuth {
		errs = append(errs, errors.New("security.authProtocol: missing, there is no encryption without authentication"))
	}
	if auth != gosnmp.NoAuth && len(u.AuthPassword) < minPassword {
		errs = append(errs, fmt.Errorf("security.authPassword: shorter than %d characters", minPassword))
	}
	if priv != gosnmp.NoPriv && len(u.PrivPassword) < minPassword {
		errs = append(errs, fmt.Errorf("security.privPassword: shorter than %d characters", minPassword))
	}
	_, err = engineID(u.ContextEngine)
	errs = append(errs, err)
	return errors.Join(errs...)
}

func protocolName(s string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
}

func authProtocol(s string) (gosnmp.SnmpV3AuthProtocol, error) {
	switch protocolName(s) {
	case "", "NONE", "NOAUTH":
		return gosnmp.NoAuth, nil
	case "MD5":
		return gosnmp.MD5, nil
	case "SHA", "SHA1":
		return gosnmp.SHA, nil
	case "SHA224":
		return gosnmp.SHA224, nil
	case "SHA256":
		return gosnmp.SHA256, nil
	case "SHA384":
		return gosnmp.SHA384, nil
	case "SHA512":
		return gosnmp.SHA512, nil
	default:
		return gosnmp.NoAuth, fmt.Errorf("security.authProtocol: %q is not one of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512", s)
	}
}

func privProtocol(s string) (gosnmp.SnmpV3PrivProtocol, error) {
	switch protocolName(s) {
	case "", "NONE", "NOPRIV":
		return gosnmp.NoPriv, nil
	case "DES":
		return gosnmp.DES, nil
	case "AES", "AES128":
		return gosnmp.AES, nil
	case "AES192":
		return gosnmp.AES192, nil
	case "AES256":
		return gosnmp.AES256, nil
	case "AES192C":
		return gosnmp.AES192C, nil
	case "AES256C":
		return gosnmp.AES256C, nil
	default:
		return gosnmp.NoPriv, fmt.Errorf("security.privProtocol: %q is not one of DES, AES, AES-192, AES-256, AES-192-C, AES-256-C", s)
	}
}

// level returns the security level of u's messages.
func (u User) level() gosnmp.SnmpV3MsgFlags {
	auth, _ := authProtocol(u.Auth) // were checked
	priv, _ := privProtocol(u.Priv)
	switch {
	case priv != gosnmp.NoPriv:
		return gosnmp.AuthPriv
	case auth != gosnmp.NoAuth:
		return gosnmp.AuthNoPriv
	default:
		return gosnmp.NoAuthNoPriv
	}
}

// parameters returns u in the form of the library, which keeps state in it: each
// session has its own.
func (u User) parameters() *gosnmp.UsmSecurityParameters {
	auth, _ := authProtocol(u.Auth)
	priv, _ := privProtocol(u.Priv)
	sp := &gosnmp.UsmSecurityParameters{UserName: u.Name, AuthenticationProtocol: auth, PrivacyProtocol: priv}
	if auth != gosnmp.NoAuth {
		sp.AuthenticationPassphrase = u.AuthPassword
	}
	if priv != gosnmp.NoPriv {
		sp.PrivacyPassphrase = u.PrivPassword
	}
	return sp
}
