// Package tlsconf builds TLS configurations from files, follows the files when
// they change, and tells when certificates expire.
package tlsconf
