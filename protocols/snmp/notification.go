package snmp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/gosnmp/gosnmp"
)

// Objects and notifications that RFC 3418 and RFC 3584 name.
const (
	oidTrap        = "1.3.6.1.6.3.1.1.4.1.0"   // snmpTrapOID.0
	oidTrapAddress = "1.3.6.1.6.3.18.1.3.0"    // snmpTrapAddress.0
	oidUptime      = "1.3.6.1.2.1.1.3.0"       // sysUpTime.0
	oidTraps       = "1.3.6.1.6.3.1.1.5"       // snmpTraps: coldStart is .1
	oidUnknownIDs  = ".1.3.6.1.6.3.15.1.1.4.0" // usmStatsUnknownEngineIDs.0
	oidNotInTime   = ".1.3.6.1.6.3.15.1.1.2.0" // usmStatsNotInTimeWindows.0
)

// A notification is what a trap or an inform says.
type notification struct {
	trap      string     // object identifier
	origin    netip.Addr // who it says it comes from, if it does
	uptime    uint32
	variables []gosnmp.SnmpPDU
}

// enterpriseSpecific is the generic-trap of traps that are an enterprise's own.
const enterpriseSpecific = 6

// parseNotification returns what a packet says.
func parseNotification(p *gosnmp.SnmpPacket) (notification, error) {
	switch p.PDUType {
	case gosnmp.Trap:
		return parseTrapV1(p)
	case gosnmp.SNMPv2Trap, gosnmp.InformRequest:
	default:
		return notification{}, fmt.Errorf("a %s is no notification", p.PDUType)
	}
	var n notification
	for _, v := range p.Variables {
		switch plain(v.Name) {
		case oidTrap:
			s, _ := v.Value.(string)
			n.trap = plain(s)
		case oidUptime:
			n.uptime, _ = v.Value.(uint32)
		case oidTrapAddress:
			s, _ := v.Value.(string)
			n.origin, _ = netip.ParseAddr(s)
		default:
			n.variables = append(n.variables, v)
		}
	}
	if n.trap == "" {
		return n, errors.New("it does not say what it notifies of (snmpTrapOID.0)")
	}
	return n, nil
}

func parseTrapV1(p *gosnmp.SnmpPacket) (notification, error) {
	n := notification{variables: p.Variables, uptime: uint32(p.Timestamp)}
	n.origin, _ = netip.ParseAddr(p.AgentAddress)
	switch {
	case p.GenericTrap >= 0 && p.GenericTrap < enterpriseSpecific:
		n.trap = oidTraps + "." + strconv.Itoa(p.GenericTrap+1)
	case p.GenericTrap == enterpriseSpecific && p.SpecificTrap >= 0 && p.Enterprise != "":
		n.trap = plain(p.Enterprise) + ".0." + strconv.Itoa(p.SpecificTrap)
	default:
		return n, fmt.Errorf("generic trap %d is not known", p.GenericTrap)
	}
	return n, nil
}
