package sftp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// DefaultPort is the port of SSH.
const DefaultPort = 22

// DefaultTimeout is how long a server may be silent.
const DefaultTimeout = 10 * time.Second

// Config says how to connect.
type Config struct {
	Host string // localhost if empty
	Port int    // DefaultPort if zero
	User string

	Password   string
	PrivateKey string // file of the user's key
	Passphrase string // of the key

	// The server is the right one if its key is in the file KnownHosts, or has
	// the Fingerprint, such as SHA256:…, as ssh-keygen -l prints it.
	KnownHosts  string
	Fingerprint string
	SkipVerify  bool // any key is good: connections are open to interception

	Dir     string        // the folder that relative paths start from
	Timeout time.Duration // DefaultTimeout if zero
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "localhost"
	}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

func (c Config) addr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c Config) file(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// client returns the configuration of SSH. It reads the files.
func (c Config) client() (*ssh.ClientConfig, error) {
	conf := &ssh.ClientConfig{User: c.User, Timeout: c.Timeout}
	if c.User == "" {
		return nil, errors.New("username: is missing")
	}
	if c.PrivateKey != "" {
		signer, err := c.signer()
		if err != nil {
			return nil, fmt.Errorf("pathToPrivateKey: %w", err)
		}
		conf.Auth = append(conf.Auth, ssh.PublicKeys(signer))
	}
	if c.Password != "" {
		conf.Auth = append(conf.Auth, ssh.Password(c.Password), ssh.KeyboardInteractive(c.answer))
	}
	var err error
	conf.HostKeyCallback, conf.HostKeyAlgorithms, err = c.verify()
	return conf, err
}

// answer gives the password to each question whose answer is not shown.
func (c Config) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range questions {
		if !echos[i] {
			answers[i] = c.Password
		}
	}
	return answers, nil
}

func (c Config) signer() (ssh.Signer, error) {
	pem, err := os.ReadFile(c.file(c.PrivateKey))
	if err != nil {
		return nil, err
	}
	if c.Passphrase != "" {
		return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(c.Passphrase))
	}
	return ssh.ParsePrivateKey(pem)
}

// verify returns what decides whether a server's key is good, and the sorts of keys to
// ask the server for; nil: all.
func (c Config) verify() (ssh.HostKeyCallback, []string, error) {
	switch {
	case c.Fingerprint != "":
		return func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if got := ssh.FingerprintSHA256(key); got != c.Fingerprint {
				return fmt.Errorf("the server's key has the fingerprint %s, not %s", got, c.Fingerprint)
			}
			return nil
		}, nil, nil
	case c.KnownHosts != "":
		check, err := knownhosts.New(c.file(c.KnownHosts))
		if err != nil {
			return nil, nil, fmt.Errorf("knownHosts: %w", err)
		}
		return check, c.algorithms(check), nil
	case c.SkipVerify:
		return ssh.InsecureIgnoreHostKey(), nil, nil //nolint:gosec // asked for
	default:
		return nil, nil, errors.New("knownHosts: is missing, and so is hostKeyFingerprint")
	}
}

// algorithms returns the sorts of keys that are known of the server, so that it shows
// one of them. The file tells by refusing a key that no server has.
func (c Config) algorithms(check ssh.HostKeyCallback) (sorts []string) {
	var known *knownhosts.KeyError
	if err := check(c.addr(), &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &known) {
		return nil
	}
	for _, k := range known.Want {
		switch sort := k.Key.Type(); sort {
		case ssh.KeyAlgoRSA:
			sorts = append(sorts, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			sorts = append(sorts, sort)
		}
	}
	return sorts
}

// A noKey is the key of no server.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }
