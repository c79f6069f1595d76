package tlsconf

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"time"
)

// Expiry returns the certificate that expires first among those in Cert and CA,
// and when it does. Without these files it returns the zero time: the
// authorities of the system are the system's concern.
func (f Files) Expiry() (what string, at time.Time, err error) {
	for _, file := range []struct{ kind, name string }{{"certificate", f.Cert}, {"CA certificate", f.CA}} {
		if file.name == "" {
			continue
		}
		certs, err := f.certificates(file.kind, file.name)
		if err != nil {
			return "", time.Time{}, err
		}
		for _, cert := range certs {
			if at.IsZero() || cert.NotAfter.Before(at) {
				what, at = fmt.Sprintf("%s %q in %s", file.kind, cert.Subject, shown(file.name)), cert.NotAfter
			}
		}
	}
	return what, at, nil
}

// certificates reads all certificates of a PEM file.
func (f Files) certificates(kind, name string) ([]*x509.Certificate, error) {
	rest, err := f.read(name)
	if err != nil {
		return nil, fmt.Errorf("tls: %s: %w", kind, err)
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("tls: %s in %s: %w", kind, shown(name), err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("tls: %s holds no certificate", shown(name))
	}
	return certs, nil
}

const day = 24 * time.Hour

// WarnExpiry watches the certificates until ctx is done, and looks at them at
// once and then after each pause of the length every, or an hour if that is not
// positive. When the first of them to expire has fewer than days left, it logs a
// warning, and repeats it once a day; once it has expired, an error, one for each
// certificate. Files that cannot be read cost one warning, until they can be read
// again.
func (f Files) WarnExpiry(ctx context.Context, log *slog.Logger, days int, every time.Duration) {
	if every <= 0 {
		every = time.Hour
	}
	w := expiryWatch{files: f, log: log, ahead: time.Duration(days) * day}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		w.look(time.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// An expiryWatch remembers what was logged.
type expiryWatch struct {
	files Files
	log   *slog.Logger
	ahead time.Duration

	unread  bool      // the files cannot be read, which was logged
	expired time.Time // the expiry that was logged as an error
	warned  time.Time // when a warning was logged
	of      time.Time // the expiry that it was about
}

func (w *expiryWatch) look(now time.Time) {
	what, at, err := w.files.Expiry()
	if err != nil {
		if !w.unread {
			w.log.Warn("TLS certificates cannot be checked for their expiry", "error", err)
		}
		w.unread = true
		return
	}
	w.unread = false
	left := at.Sub(now)
	switch {
	case at.IsZero() || left >= w.ahead && left > 0:
	case left <= 0:
		if !w.expired.Equal(at) {
			w.log.Error("TLS certificate has expired", "certificate", what, "expired", at)
			w.expired = at
		}
	case !w.of.Equal(at) || now.Sub(w.warned) >= day:
		w.log.Warn("TLS certificate expires soon", "certificate", what, "expires", at, "days", int(left/day))
		w.warned, w.of = now, at
	}
}
