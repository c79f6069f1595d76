package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// VSFTPD configures a vsftpd server for anonymous users, who may do everything.
type VSFTPD struct {
	Certs    *Certs // encrypt, and refuse what is not encrypted
	Implicit bool   // from the first byte
}

// A FileServer is a server with files, which runs as a process of its own.
type FileServer struct {
	*Process

	Port string
	Dir  string // of its files

	User   string // of SSH
	Key    string // file of the user's key
	Hosts  string // file of known hosts
	HostFP string // fingerprint of the server's key
}

// Start starts a server on a loopback port that ends with the test. The test is skipped
// if vsftpd is not installed.
func (v VSFTPD) Start(tb testing.TB) *FileServer {
	tb.Helper()
	path := Need(tb, "vsftpd")
	dir := tb.TempDir()
	s := &FileServer{Port: FreePort(tb), Dir: filepath.Join(dir, "files")}
	must(tb, os.Mkdir(s.Dir, 0o755))
	lines := []string{
		"listen=YES", "background=NO", "listen_address=127.0.0.1", "listen_port=" + s.Port, "run_as_launching_user=YES",
		"anonymous_enable=YES", "local_enable=NO", "no_anon_password=YES", "anon_root=" + s.Dir, "anon_world_readable_only=NO",
		"write_enable=YES", "anon_upload_enable=YES", "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES",
		"anon_umask=022", "seccomp_sandbox=NO", "secure_chroot_dir=" + dir, "pasv_address=127.0.0.1", "xferlog_enable=NO",
	}
	if v.Certs != nil {
		lines = append(lines,
			"ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES", "force_anon_data_ssl=YES", "require_ssl_reuse=YES",
			"ssl_tlsv1=YES", "ssl_ciphers=HIGH", "rsa_cert_file="+v.Certs.ServerCert, "rsa_private_key_file="+v.Certs.ServerKey)
	}
	if v.Implicit {
		lines = append(lines, "implicit_ssl=YES")
	}
	file := filepath.Join(dir, "vsftpd.conf")
	must(tb, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	s.Process = Start(tb, dir, path, file)
	Listening(tb, "127.0.0.1:"+s.Port)
	return s
}

// SSHD starts OpenSSH's server on a loopback port, for SFTP by the user who runs the
// test, in a folder of its own. It ends with the test, which is skipped if sshd is not
// installed.
func SSHD(tb testing.TB) *FileServer {
	tb.Helper()
	path := Need(tb, "sshd")
	me, err := user.Current()
	must(tb, err)
	dir := tb.TempDir()
	s := &FileServer{
		Port: FreePort(tb), Dir: filepath.Join(dir, "files"), User: me.Username,
		Key: filepath.Join(dir, "key"), Hosts: filepath.Join(dir, "known_hosts"),
	}
	must(tb, os.Mkdir(s.Dir, 0o755))
	if os.Geteuid() == 0 {
		must(tb, os.MkdirAll("/run/sshd", 0o755))
	}
	host := newKey(tb, filepath.Join(dir, "host"))
	mine := newKey(tb, s.Key)
	s.HostFP = ssh.FingerprintSHA256(host)
	must(tb, os.WriteFile(filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(mine), 0o600))
	must(tb, os.WriteFile(s.Hosts, append([]byte("[127.0.0.1]:"+s.Port+" "), ssh.MarshalAuthorizedKey(host)...), 0o600))
	file := filepath.Join(dir, "sshd.conf")
	must(tb, os.WriteFile(file, []byte(strings.Join([]string{
		"Port " + s.Port, "ListenAddress 127.0.0.1", "HostKey " + filepath.Join(dir, "host"), "PidFile none",
		"AuthorizedKeysFile " + filepath.Join(dir, "authorized"), "PasswordAuthentication no", "PermitRootLogin yes",
		"StrictModes no", "UsePAM no", "Subsystem sftp internal-sftp", "ForceCommand internal-sftp -d " + s.Dir,
	}, "\n")+"\n"), 0o600))
	s.Process = Start(tb, dir, path, "-D", "-e", "-f", file)
	Listening(tb, "127.0.0.1:"+s.Port)
	return s
}

// newKey writes a new private key of SSH to a file.
func newKey(tb testing.TB, file string) ssh.PublicKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	must(tb, err)
	must(tb, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	signer, err := ssh.NewSignerFromKey(key)
	must(tb, err)
	return signer.PublicKey()
}

// Put stores a file, whose name may have folders, at once.
func (s *FileServer) Put(tb testing.TB, name, data string) {
	tb.Helper()
	path := filepath.Join(s.Dir, filepath.FromSlash(name))
	must(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	must(tb, os.WriteFile(path+".part", []byte(data), 0o644)) //nolint:gosec // the server's user reads it
	must(tb, os.Rename(path+".part", path))
}

// Restart starts the server again, after Stop or Kill, and waits until it listens.
func (s *FileServer) Restart() {
	s.t.Helper()
	s.Start()
	Listening(s.t, "127.0.0.1:"+s.Port)
}
