package snmp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gosnmp/gosnmp"
)

// timeWindow is how far a message's time may lie off (RFC 3414, section 2.2.3).
const timeWindow = 150

// A trapDecoder checks who messages come from and decodes them. It belongs to one
// goroutine.
type trapDecoder struct {
	snmp        *gosnmp.GoSNMP
	communities map[string]bool
	users       map[string]User
	engine      string
	started     time.Time
	clocks      map[string]clock // of senders of traps, by engine
}

// A clock is the latest time that an engine's messages had.
type clock struct{ boots, time uint32 }

// maxClocks is how many engines are kept in mind.
const maxClocks = 10000

func newTrapDecoder(communities []string, users []User, engine string) (*trapDecoder, error) {
	d := &trapDecoder{
		snmp:        &gosnmp.GoSNMP{Version: gosnmp.Version3, SecurityModel: gosnmp.UserSecurityModel},
		communities: make(map[string]bool), users: make(map[string]User),
		engine: engine, started: time.Now(), clocks: make(map[string]clock),
	}
	for _, c := range communities {
		d.communities[c] = true
	}
	known := gosnmp.NewSnmpV3SecurityParametersTable(gosnmp.Logger{})
	// The empty name is that of messages that ask for the engine.
	if err := known.Add("", &gosnmp.UsmSecurityParameters{AuthenticationProtocol: gosnmp.NoAuth, PrivacyProtocol: gosnmp.NoPriv}); err != nil {
		return nil, err
	}
	for _, u := range users {
		if old, ok := d.users[u.Name]; ok {
			if old.parametersDiffer(u) {
				return nil, fmt.Errorf("user %q is there twice, with different protocols or passwords", u.Name)
			}
			continue
		}
		d.users[u.Name] = u
		if err := known.Add(u.Name, u.parameters()); err != nil {
			return nil, fmt.Errorf("user %q: %w", u.Name, err)
		}
	}
	d.snmp.SetTrapSecurityParametersTable(known)
	return d, nil
}

func (u User) parametersDiffer(v User) bool {
	u.ContextName, u.ContextEngine = v.ContextName, v.ContextEngine
	return u != v
}

// newEngineID returns an engine identifier of random octets (RFC 3411, section 5;
// the enterprise is 0, which nobody has).
func newEngineID() string {
	b := make([]byte, 5, 13)
	b[0], b[4] = 0x80, 5
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return string(append(b, random...))
}

// decode returns the packet in msg, or what has to be sent back to its sender for
// now.
func (d *trapDecoder) decode(msg []byte) (p *gosnmp.SnmpPacket, report []byte, err error) {
	p, err = d.unmarshal(msg)
	if err != nil {
		return nil, nil, err
	}
	if p.Version != gosnmp.Version3 {
		if !d.communities[p.Community] {
			return nil, nil, errors.New("its community is not one that is accepted")
		}
		return p, nil, nil
	}
	sp, ok := p.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	if !ok || p.SecurityModel != gosnmp.UserSecurityModel {
		return nil, nil, errors.New("its security model is not the user-based one")
	}
	if sp.UserName == "" || p.PDUType == gosnmp.InformRequest && sp.AuthoritativeEngineID != d.engine {
		if p.MsgFlags&gosnmp.Reportable == 0 {
			return nil, nil, errors.New("it has no user")
		}
		report, err = d.report(p, sp, oidUnknownIDs, gosnmp.NoAuthNoPriv)
		return nil, report, err
	}
	user, ok := d.users[sp.UserName]
	if !ok || p.MsgFlags&gosnmp.AuthPriv != user.level() {
		return nil, nil, fmt.Errorf("the security level of its user %q is another", sp.UserName)
	}
	if user.level() == gosnmp.NoAuthNoPriv {
		return p, nil, nil
	}
	if p.PDUType == gosnmp.InformRequest {
		if !d.inTime(sp) {
			report, err = d.report(p, sp, oidNotInTime, gosnmp.AuthNoPriv)
			return nil, report, err
		}
		return p, nil, nil
	}
	return p, nil, d.advance(sp)
}

// unmarshal decodes msg with the library, which some malformed messages make panic.
func (d *trapDecoder) unmarshal(msg []byte) (p *gosnmp.SnmpPacket, err error) {
	defer func() {
		if recover() != nil {
			p, err = nil, errors.New("it is malformed")
		}
	}()
	return d.snmp.UnmarshalTrap(msg, false)
}

// seconds returns the time since d was made, which is its engine's.
func (d *trapDecoder) seconds() uint32 {
	return uint32(min(time.Since(d.started)/time.Second, math.MaxInt32))
}

// inTime reports whether the time of a message to d's engine is its own.
func (d *trapDecoder) inTime(sp *gosnmp.UsmSecurityParameters) bool {
	off := int64(d.seconds()) - int64(sp.AuthoritativeEngineTime)
	return sp.AuthoritativeEngineBoots == engineBoots && off <= timeWindow && off >= -timeWindow
}

// engineBoots is how often the engine has started: its identifier is new each time.
const engineBoots = 1

// advance fails if the message is older than others of its sender were, as when
// somebody repeats it.
func (d *trapDecoder) advance(sp *gosnmp.UsmSecurityParameters) error {
	now := clock{sp.AuthoritativeEngineBoots, sp.AuthoritativeEngineTime}
	last, ok := d.clocks[sp.AuthoritativeEngineID]
	switch {
	case now.boots == math.MaxInt32, ok && now.boots < last.boots,
		ok && now.boots == last.boots && int64(now.time) < int64(last.time)-timeWindow:
		return errors.New("it is older than others of its sender, as if somebody repeated it")
	case ok && now.boots == last.boots && now.time < last.time:
		return nil
	}
	if !ok && len(d.clocks) >= maxClocks {
		for engine := range d.clocks {
			delete(d.clocks, engine)
			break
		}
	}
	d.clocks[sp.AuthoritativeEngineID] = now
	return nil
}

// report returns a report to the sender of p.
func (d *trapDecoder) report(p *gosnmp.SnmpPacket, sp *gosnmp.UsmSecurityParameters, oid string, level gosnmp.SnmpV3MsgFlags) ([]byte, error) {
	out := *p
	out.PDUType = gosnmp.Report
	out.Variables = []gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Counter32, Value: uint32(1)}}
	out.ContextEngineID = d.engine
	return d.marshal(&out, sp, level)
}

// answer returns the answer to the inform p.
func (d *trapDecoder) answer(p *gosnmp.SnmpPacket) ([]byte, error) {
	out := *p
	out.PDUType = gosnmp.GetResponse
	out.Error, out.ErrorIndex = gosnmp.NoError, 0
	sp, ok := p.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	if !ok || p.Version != gosnmp.Version3 {
		return out.MarshalMsg()
	}
	return d.marshal(&out, sp, p.MsgFlags&gosnmp.AuthPriv)
}

func (d *trapDecoder) marshal(out *gosnmp.SnmpPacket, sp *gosnmp.UsmSecurityParameters, level gosnmp.SnmpV3MsgFlags) ([]byte, error) {
	own, ok := sp.Copy().(*gosnmp.UsmSecurityParameters)
	if !ok {
		return nil, errors.New("security parameters are of another model")
	}
	own.AuthoritativeEngineID = d.engine
	own.AuthoritativeEngineBoots, own.AuthoritativeEngineTime = engineBoots, d.seconds()
	own.AuthenticationParameters = ""
	own.PrivacyParameters = make([]byte, 8)
	_, _ = rand.Read(own.PrivacyParameters) // never fails
	if level == gosnmp.NoAuthNoPriv {
		own = &gosnmp.UsmSecurityParameters{
			UserName: own.UserName, AuthoritativeEngineID: d.engine, AuthoritativeEngineBoots: engineBoots,
			AuthoritativeEngineTime: own.AuthoritativeEngineTime, AuthenticationProtocol: gosnmp.NoAuth, PrivacyProtocol: gosnmp.NoPriv,
		}
	}
	out.SecurityParameters, out.MsgFlags = own, level
	return out.MarshalMsg()
}
