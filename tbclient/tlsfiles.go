package tbclient

import (
	"time"

	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

// TLSFiles names what a TLS configuration is made of. The zero TLSFiles means
// TLS 1.2 or later, verified against the system's roots.
type TLSFiles struct {
	Dir        string // the folder that relative paths start from
	CA         string // PEM file of the roots to trust in place of the system's
	Cert, Key  string // PEM files of the client certificate; both or neither
	ServerName string // name to verify in place of the host's

	// SkipVerify turns off the verification of the platform. Connections are
	// then open to interception.
	SkipVerify bool

	// WarnDays is how many days before a certificate expires warnings begin,
	// and CheckEvery how often that is looked at. Zero: 3 days, and an hour.
	WarnDays   int
	CheckEvery time.Duration
}

// Check reads the files. An error names the file that is wrong.
func (f *TLSFiles) Check() error {
	_, err := f.files().Config()
	return err
}

func (f *TLSFiles) files() tlsconf.Files {
	return tlsconf.Files{Dir: f.Dir, CA: f.CA, Cert: f.Cert, Key: f.Key, ServerName: f.ServerName, SkipVerify: f.SkipVerify}
}

func (f *TLSFiles) warnDays() int {
	if f.WarnDays <= 0 {
		return 3
	}
	return f.WarnDays
}
