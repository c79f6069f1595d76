//go:build deps

// Package deps keeps the libraries of protocols under construction in go.mod.
package deps

import (
	_ "github.com/coder/websocket"
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/google/jsonschema-go/jsonschema"
	_ "github.com/gopcua/opcua"
	_ "github.com/gopcua/opcua/server"
	_ "github.com/gosnmp/gosnmp"
	_ "github.com/jlaffaye/ftp"
	_ "github.com/pkg/sftp"
	_ "golang.org/x/crypto/ssh"
	_ "golang.org/x/net/http/httpguts"
)
