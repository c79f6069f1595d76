// Package sftp reads files of SSH servers by SFTP, and writes to them, as package
// [github.com/gridlinks/iot-gateway/protocols/ftp] does by FTP. It is a package of its
// own so that programs without it do not contain SSH.
//
// A configuration file differs in how to connect:
//
//	{
//	  "parameters": {
//	    "host": "files.example.com", "port": 22,
//	    "security": {"username": "gateway", "pathToPrivateKey": "id_ed25519", "knownHosts": "known_hosts"}
//	  },
//	  "paths": [ … ]
//	}
//
// The server has to have a key that is in the file of known hosts, or the fingerprint
// that is configured.
package sftp
