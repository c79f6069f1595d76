package provision_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// A message is a request as the platform sees it.
type message struct {
	DeviceName string `json:"deviceName"`
	Key        string `json:"provisionDeviceKey"`
	Secret     string `json:"provisionDeviceSecret"`
	Type       string `json:"credentialsType"`
	Token      string `json:"token"`
	ClientID   string `json:"clientId"`
	Username   string `json:"username"`
	Password   string `json:"password"`
	Hash       string `json:"hash"`
	Gateway    bool   `json:"gateway"`
}

// A platform is a server that takes requests to provision a device, and
// connections with credentials. It creates a device once.
type platform struct {
	t    *testing.T
	ln   net.Listener
	done sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	requests []message
	logins   []string                     // user names of the connections that did not provision
	devices  map[string]message           // by name
	answer   func(message) ([]byte, bool) // nil: as the platform; false: close without an answer
}

func newPlatform(t *testing.T, config *tls.Config) *platform {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	p := &platform{t: t, ln: ln, devices: map[string]message{}, conns: map[net.Conn]struct{}{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

func (p *platform) addr() string { return p.ln.Addr().String() }

func (p *platform) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns[conn] = struct{}{}
		p.mu.Unlock()
		p.done.Go(func() {
			p.serve(conn)
			_ = conn.Close()
		})
	}
}

// setAnswer says how requests are answered from now on.
func (p *platform) setAnswer(f func(message) ([]byte, bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

func (p *platform) asked() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]message(nil), p.requests...)
}

func (p *platform) loggedIn() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.logins...)
}

func (p *platform) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		pk, err := read(in)
		if err != nil {
			return
		}
		switch pk.FixedHeader.Type {
		case packets.Connect:
			reply := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: 4, ReasonCode: p.login(conn, pk)}
			if !write(conn, &reply, (*packets.Packet).ConnackEncode) || reply.ReasonCode != 0 {
				return
			}
		case packets.Subscribe:
			reply := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Suback}, ProtocolVersion: 4, PacketID: pk.PacketID, ReasonCodes: []byte{1}}
			if !write(conn, &reply, (*packets.Packet).SubackEncode) {
				return
			}
		case packets.Publish:
			reply := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, ProtocolVersion: 4, PacketID: pk.PacketID}
			if !write(conn, &reply, (*packets.Packet).PubackEncode) {
				return
			}
			msg, ok := p.provision(pk)
			if !ok {
				return
			}
			if msg == nil {
				continue
			}
			push := packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 4,
				TopicName: "/provision/response", Payload: msg, PacketID: 9,
			}
			if !write(conn, &push, (*packets.Packet).PublishEncode) {
				return
			}
		}
	}
}

// login returns the return code of a CONNECT.
func (p *platform) login(conn net.Conn, pk *packets.Packet) byte {
	user, id := string(pk.Connect.Username), pk.Connect.ClientIdentifier
	if user == "provision" {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logins = append(p.logins, user)
	certificate := shown(conn)
	for _, d := range p.devices {
		if d.Hash != "" && d.Hash == certificate {
			return 0
		}
		if d.Token != "" && d.Token == user {
			return 0
		}
		if d.Type == "MQTT_BASIC" && d.Username == user && d.ClientID == id && d.Password == string(pk.Connect.Password) {
			return 0
		}
	}
	return 5
}

// shown returns the client's certificate in PEM, or nothing.
func shown(conn net.Conn) string {
	c, ok := conn.(*tls.Conn)
	if !ok || len(c.ConnectionState().PeerCertificates) == 0 {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw}))
}

// provision carries out a request, as a device profile that allows to create
// new devices does.
func (p *platform) provision(pk *packets.Packet) (answer []byte, ok bool) {
	var m message
	if pk.TopicName != "/provision/request" || json.Unmarshal(pk.Payload, &m) != nil {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, m)
	if p.answer != nil {
		return p.answer(m)
	}
	return p.create(m), true
}

// create creates a device. It is called with p.mu held.
func (p *platform) create(m message) []byte {
	if m.Key != "key" || m.Secret != "secret" {
		return []byte(`{"status":"NOT_FOUND","errorMsg":"Provision data was not found!"}`)
	}
	if _, ok := p.devices[m.DeviceName]; ok {
		return []byte(`{"status":"FAILURE","errorMsg":"Failed to provision device!"}`)
	}
	p.devices[m.DeviceName] = m
	var value any = m.Token
	switch m.Type {
	case "MQTT_BASIC":
		value = map[string]string{"clientId": m.ClientID, "userName": m.Username, "password": m.Password}
	case "X509_CERTIFICATE":
		value = m.Hash
	}
	doc, err := json.Marshal(map[string]any{"status": "SUCCESS", "credentialsType": m.Type, "credentialsValue": value})
	if err != nil {
		p.t.Error(err)
	}
	return doc
}

func read(in *bufio.Reader) (*packets.Packet, error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	pk := &packets.Packet{ProtocolVersion: 4}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	n, _, err := packets.DecodeLength(in)
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Subscribe:
		err = pk.SubscribeDecode(body)
	}
	return pk, err
}

func write(conn net.Conn, pk *packets.Packet, encode func(*packets.Packet, *bytes.Buffer) error) bool {
	var b bytes.Buffer
	if encode(pk, &b) != nil {
		return false
	}
	_, err := conn.Write(b.Bytes())
	return err == nil
}

// soon returns a context that bounds a test which would try for ever.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
