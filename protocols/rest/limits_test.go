package rest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/rest"
)

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

// ended waits for the end of a connection, and returns what came before.
func ended(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		var ne net.Error
		require.False(t, assert.ErrorAs(t, err, &ne) && ne.Timeout(), "the connection is still there")
	}
	return string(b)
}

// A client that sends its header, or its body, drop by drop is cut off, and others do not
// notice.
func TestSlowClientsAreCutOff(t *testing.T) {
	s, host := start(t, rest.Config{HeaderTimeout: 300 * time.Millisecond, ReadTimeout: 700 * time.Millisecond, Endpoints: []rest.Endpoint{sensor("/d")}})
	for name, head := range map[string]string{
		"header": "POST /d HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.Addrs()[0])
			_, err := io.WriteString(c, head)
			require.NoError(t, err)
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for { // drops keep the connection from being idle
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						if _, err := io.WriteString(c, "X-A: b\r\n"); err != nil {
							return
						}
					}
				}
			}()
			require.Equal(t, 200, send(t, "POST", "http://"+s.Addrs()[0]+"/d", `{"name":"A","t":1}`).status)
			if answer := ended(t, c); name == "body" && answer != "" {
				assert.Contains(t, answer, "408 Request Timeout")
			}
		})
	}
	assert.Len(t, values(host, "t"), 2)
	poll(t, "no connection is left", func() bool { http.DefaultClient.CloseIdleConnections(); return s.Stats().Connections == 0 })
}

// A connection without a request is closed.
func TestIdleConnectionsAreClosed(t *testing.T) {
	s, _ := start(t, rest.Config{HeaderTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond, Endpoints: []rest.Endpoint{sensor("/d")}})
	c := dial(t, s.Addrs()[0])
	_, err := io.WriteString(c, "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n"+`{"name":"A","t":1}`)
	require.NoError(t, err)
	assert.Contains(t, ended(t, c), "200 OK")
}

// Bodies are refused before they are read if they say that they are too large, and as soon
// as they are if not. A small one that grows when it is unpacked is refused too.
func TestLargeBodiesAreRefused(t *testing.T) {
	s, host := start(t, rest.Config{MaxBody: 1000, MaxHeader: 4096, Endpoints: []rest.Endpoint{sensor("/d")}})
	addr := s.Addrs()[0]

	c := dial(t, addr)
	_, err := io.WriteString(c, "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
	require.NoError(t, err)
	assert.Contains(t, ended(t, c), "413 Request Entity Too Large", "without having seen the body")

	c = dial(t, addr)
	_, err = io.WriteString(c, "POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	go func() {
		for { // endless
			if _, err := fmt.Fprintf(c, "100\r\n%s\r\n", strings.Repeat(" ", 256)); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, 413, resp.StatusCode)

	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 100000))
	_ = z.Close()
	require.Less(t, packed.Len(), 1000)
	assert.Equal(t, 413, send(t, "POST", "http://"+addr+"/d", packed.String(), "Content-Encoding", "gzip").status)
	assert.Equal(t, 400, send(t, "POST", "http://"+addr+"/d", "no gzip", "Content-Encoding", "gzip").status)
	assert.Equal(t, 415, send(t, "POST", "http://"+addr+"/d", "x", "Content-Encoding", "br").status)
	if r, err := try(t.Context(), "POST", "http://"+addr+"/d", `{"name":"A","t":1}`, "X-Long", strings.Repeat("a", 20000)); err == nil { // the connection may be closed before all was sent
		assert.Equal(t, 431, r.status)
	}
	assert.Empty(t, values(host, "t"))

	packed.Reset()
	z.Reset(&packed)
	_, _ = z.Write([]byte(`{"name":"A","t":1}`))
	_ = z.Close()
	assert.Equal(t, 200, send(t, "POST", "http://"+addr+"/d", packed.String(), "Content-Encoding", "gzip").status)
	assert.Len(t, values(host, "t"), 1)
}

// Connections that are too many are closed, and there is room again when others end.
func TestConnectionsAreLimited(t *testing.T) {
	host := connectortest.NewHost(t)
	s := rest.New(rest.Config{Port: -1, MaxConnections: 3, Endpoints: []rest.Endpoint{sensor("/d")}})
	run(t, s, host)
	var conns []net.Conn
	for range 3 {
		conns = append(conns, dial(t, s.Addrs()[0]))
	}
	poll(t, "all are there", func() bool { return s.Stats().Connections == 3 })
	assert.Empty(t, ended(t, dial(t, s.Addrs()[0])))
	assert.Equal(t, uint64(1), s.Stats().Refused)
	for _, c := range conns {
		_ = c.Close()
	}
	poll(t, "none is left", func() bool { return s.Stats().Connections == 0 })
	assert.Equal(t, 200, send(t, "POST", "http://"+s.Addrs()[0]+"/d", `{"name":"A","t":1}`).status)
}

// A client that does not read its answer is given up.
func TestClientThatDoesNotRead(t *testing.T) {
	e := sensor("/d")
	e.Response.Success = strings.Repeat("x", 64<<20)
	s, _ := start(t, rest.Config{WriteTimeout: 200 * time.Millisecond, Endpoints: []rest.Endpoint{e}})
	c := dial(t, s.Addrs()[0])
	_, err := io.WriteString(c, "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n"+`{"name":"A","t":1}`)
	require.NoError(t, err)
	poll(t, "it is there", func() bool { return s.Stats().Requests == 1 })
	poll(t, "it is given up", func() bool { return s.Stats().Connections == 0 })
}
