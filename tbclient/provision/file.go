package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

// The files beside the credentials of type X509.
const (
	certificateFile = "cert.pem"
	keyFile         = "key.pem"
)

// errInvalid says that a file does not hold what it should.
var errInvalid = errors.New("invalid file")

// Save writes the credentials to the file at path, and for X509 the key and the
// certificate to key.pem and cert.pem beside it. Only their owner may read them.
// Each file has its old contents or the new ones whatever happens. The folder is
// created if it does not exist.
func (c Credentials) Save(path string) error {
	if err := c.check(); err != nil {
		return err
	}
	doc, err := c.answer()
	if err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	if c.Type == X509 {
		err = errors.Join(
			atomicfile.Write(beside(path, keyFile), []byte(c.Key)),
			atomicfile.Write(beside(path, certificateFile), []byte(c.Certificate)))
	}
	if err == nil {
		err = atomicfile.Write(path, doc)
	}
	if err != nil {
		return fmt.Errorf("provision: save credentials: %w", err)
	}
	return nil
}

// Load reads the credentials from the file at path, and for X509 from those
// beside it. The error of a file that does not exist wraps fs.ErrNotExist.
func Load(path string) (Credentials, error) {
	doc, err := os.ReadFile(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("provision: load credentials: %w", err)
	}
	c, err := parse(doc)
	if err != nil {
		return Credentials{}, fmt.Errorf("provision: load credentials: %w %s: %w", errInvalid, path, err)
	}
	if c.Type != X509 {
		return c, nil
	}
	certificate, certErr := os.ReadFile(beside(path, certificateFile))
	key, keyErr := os.ReadFile(beside(path, keyFile))
	if err := errors.Join(certErr, keyErr); err != nil {
		return Credentials{}, fmt.Errorf("provision: load credentials: %w %s: %w", errInvalid, path, err)
	}
	c.Certificate, c.Key = string(certificate), string(key)
	if err := c.check(); err != nil {
		return Credentials{}, fmt.Errorf("provision: load credentials: %w %s: %w", errInvalid, beside(path, certificateFile), err)
	}
	return c, nil
}

// Remove removes what [LoadOrRequest] keeps at path, so that it asks the
// platform anew. For credentials of type X509 that includes key.pem and
// cert.pem beside it. Files that do not exist are no error.
func Remove(path string) error {
	names := []string{path, pendingPath(path)}
	if doc, err := os.ReadFile(path); err == nil {
		if c, err := parse(doc); err == nil && c.Type == X509 {
			names = append(names, beside(path, keyFile), beside(path, certificateFile))
		}
	}
	var errs []error
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("provision: remove credentials: %w", err))
		}
	}
	return errors.Join(errs...)
}

func beside(path, name string) string { return filepath.Join(filepath.Dir(path), name) }
