// Package snmp polls SNMP agents, writes to them on command, and receives their
// traps and informs. It speaks versions 1, 2c and 3, over UDP and TCP.
package snmp
