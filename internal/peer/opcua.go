package peer

import (
	"encoding/json"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// OPCUA configures an OPC UA server made with node-opcua, a program that nobody here
// wrote. Its own namespace has the index 1, and holds the object Dev with variables
// of several types, the method Add, and the variables v0, v1 and so on, whose values
// are their numbers.
type OPCUA struct {
	Variables int // how many v there are

	// Period, if positive, makes all v change their value that often, by one.
	Period time.Duration

	// NoAnonymous refuses sessions without a user ("user" with "pass") or a
	// certificate.
	NoAnonymous bool

	// Limits are operation limits by their names, such as maxNodesPerRead.
	Limits map[string]int
}

// An OPCUAServer is an OPC UA server that runs as a process of its own.
type OPCUAServer struct {
	*Process

	addr string
	pki  string
}

// Start starts a server that ends with the test. The test is skipped if Node.js or
// node-opcua is not installed.
func (o OPCUA) Start(tb testing.TB) *OPCUAServer {
	tb.Helper()
	dir := Node(tb, "node-opcua-server", "node-opcua-nodesets")
	s := &OPCUAServer{addr: "127.0.0.1:" + FreePort(tb), pki: tb.TempDir()}
	_, port, _ := net.SplitHostPort(s.addr)
	options, err := json.Marshal(map[string]any{
		"port": json.Number(port), "variables": o.Variables, "period": o.Period.Milliseconds(), "anonymous": !o.NoAnonymous,
		"limits": o.Limits, "pki": s.pki,
	})
	if err != nil {
		tb.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Fatal(err)
	}
	s.Process = Start(tb, dir, node, "opcua-server.js", string(options))
	s.listening()
	return s
}

// Addr returns the server's host:port.
func (s *OPCUAServer) Addr() string { return s.addr }

// URL returns the server's endpoint.
func (s *OPCUAServer) URL() string { return "opc.tcp://" + s.addr + "/UA/Test" }

// Certificate returns the file of the server's certificate.
func (s *OPCUAServer) Certificate() string {
	return filepath.Join(s.pki, "server", "own", "certs", "certificate.pem")
}

// Restart starts the server again, after Stop or Kill, and waits until it listens.
func (s *OPCUAServer) Restart() {
	s.t.Helper()
	s.Start()
	s.listening()
}

// listening waits longer than others, since the server loads the nodes of the
// standard first.
func (s *OPCUAServer) listening() {
	s.t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", s.addr); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-s.done:
			s.t.Fatal("the OPC UA server has ended")
		default:
		}
	}
	s.t.Fatalf("nothing listens on %s", s.addr)
}
