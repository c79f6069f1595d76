package tbtest

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// provisionName is the user name, or client identifier, of a client that asks
// to be provisioned.
const provisionName = "provision"

// Provision is the provisioning of a device profile.
type Provision struct {
	Key, Secret string

	// Fail answers every request that has them with FAILURE, as for a device
	// that exists already.
	Fail bool

	// Lifetime is how long the connection of a client that asks is left open.
	// Zero: 60 seconds.
	Lifetime time.Duration
}

func (p *Provision) lifetime() time.Duration {
	if p == nil || p.Lifetime <= 0 {
		return time.Minute
	}
	return p.Lifetime
}

// A Provisioned is a device that was created for a client that asked.
type Provisioned struct {
	Name    string
	Gateway bool
}

// Provisioned returns the devices that were provisioned, in order. Their
// credentials are taken from then on; what they send about themselves is
// recorded under Gateway.
func (s *Server) Provisioned() []Provisioned {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Provisioned, 0, len(s.credentials))
	for i := range s.credentials {
		out = append(out, Provisioned{s.credentials[i].name, s.credentials[i].gateway})
	}
	return out
}

// handleProvision handles a packet of a client that may only ask to be
// provisioned.
func (se *session) handleProvision(p *packets.Packet) error {
	switch p.FixedHeader.Type {
	case packets.Publish:
		return se.provisionMessage(p)
	case packets.Subscribe:
		return se.subscribe(p, func(filter string) bool { return filter == "/provision/response" })
	case packets.Puback: // of the response
		return nil
	case packets.Disconnect:
		return errEndSession
	default:
		return ending(reasonImplementation, "only provisioning is allowed")
	}
}

func (se *session) provisionMessage(p *packets.Packet) error {
	if f := se.srv.cfg.OnPublish; f != nil {
		f(se.message(p))
	}
	if p.TopicName != "/provision/request" {
		return se.refuse(p, failed(reasonTopic, "only provisioning is allowed"))
	}
	n, err := parseJSON(p.Payload)
	if err != nil {
		return se.refuse(p, se.badText(err))
	}
	q, err := parseProvisionRequest(n)
	if err != nil {
		return se.refuse(p, failed(reasonImplementation, err.Error()))
	}
	b, err := json.Marshal(se.srv.provision(q))
	if err != nil {
		return err
	}
	return se.ack(p, 0, func() error { return se.send("/provision/response", b) })
}

// The kinds of credentials that a client can ask for.
const (
	accessToken = "ACCESS_TOKEN"
	mqttBasic   = "MQTT_BASIC"
	x509Type    = "X509_CERTIFICATE"
)

type provisionRequest struct {
	key, secret, device, kind string
	gateway                   bool
	token                     string
	clientID, user, password  string
	certificate               string // PEM
}

func parseProvisionRequest(n node) (q provisionRequest, err error) {
	if n.kind != objectNode {
		return q, errors.New("tbtest: provisioning request is not an object")
	}
	for name, to := range map[string]*string{
		"provisionDeviceKey": &q.key, "provisionDeviceSecret": &q.secret, "deviceName": &q.device,
		"credentialsType": &q.kind, "token": &q.token, "clientId": &q.clientID, "username": &q.user,
		"password": &q.password, "hash": &q.certificate,
	} {
		v, _ := n.member(name)
		*to = v.text
	}
	g, _ := n.member("gateway")
	q.gateway = g.truth
	missing := q.key == "" || q.secret == ""
	switch q.kind {
	case "": // the platform chooses a token
	case accessToken:
		missing = missing || q.token == ""
	case mqttBasic:
		missing = missing || q.clientID == "" && q.user == "" && q.password == ""
	case x509Type:
		missing = missing || q.certificate == ""
	default:
		return q, fmt.Errorf("tbtest: unknown type of credentials %q", q.kind)
	}
	if missing {
		return q, errors.New("tbtest: provisioning request lacks a field")
	}
	return q, nil
}

// provisionResponse is the answer to a request. Value is a string, or an object
// for basic credentials.
type provisionResponse struct {
	Type   string `json:"credentialsType,omitempty"`
	Value  any    `json:"credentialsValue,omitempty"`
	Error  string `json:"errorMsg,omitempty"`
	Status string `json:"status"`
}

type basicCredentials struct {
	ClientID string `json:"clientId"`
	UserName string `json:"userName"`
	Password string `json:"password"`
}

// provision creates the device that is asked for.
func (s *Server) provision(q provisionRequest) provisionResponse {
	p := s.cfg.Provision
	if p == nil || q.key != p.Key || q.secret != p.Secret {
		return provisionResponse{Error: "Provision data was not found!", Status: "NOT_FOUND"}
	}
	failure := provisionResponse{Error: "Failed to provision device!", Status: "FAILURE"}
	if q.device == "" {
		q.device = rand.Text()
	}
	c := credential{identity: identity{name: q.device, gateway: q.gateway}}
	r := provisionResponse{Type: q.kind, Status: "SUCCESS"}
	switch q.kind {
	case mqttBasic:
		c.clientID, c.username, c.password = q.clientID, q.user, q.password
		r.Value = basicCredentials{q.clientID, q.user, q.password}
	case x509Type:
		block, _ := pem.Decode([]byte(q.certificate))
		if block == nil {
			return failure
		}
		c.certificate, r.Value = block.Bytes, q.certificate
	default:
		if q.token == "" {
			q.token = rand.Text()
		}
		c.token, r.Type, r.Value = q.token, accessToken, q.token
	}
	if p.Fail || !s.addCredential(c) {
		return failure
	}
	return r
}

// addCredential adds the credential of a new device. It reports whether the
// name of the device was free.
func (s *Server) addCredential(c credential) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record.devices[c.name] != nil {
		return false
	}
	for i := range s.credentials {
		if s.credentials[i].name == c.name {
			return false
		}
	}
	s.credentials = append(s.credentials, c)
	s.notify()
	return true
}
