package snmp

import (
	"fmt"
	"strings"
)

// A Method says how objects are read or written, and what shape the result has.
type Method uint8

// The methods, with the names that configuration files use, in any case.
const (
	// Get ("get") reads one object; the result is its value.
	Get Method = iota

	// MultiGet ("multiget") reads several objects; the result is a list, or if all
	// values are texts, one text of them with commas in between.
	MultiGet

	// GetNext ("getnext") reads the object after the one that is named; the result
	// is {oid: value}.
	GetNext

	// Walk ("walk") reads all objects below one, MultiWalk ("multiwalk") and
	// BulkWalk ("bulkwalk") below several; the result is {oid: value, ...}.
	Walk
	MultiWalk
	BulkWalk

	// BulkGet ("bulkget") sends one GETBULK: the object after each of Scalars,
	// and the Repetitions objects after each of OIDs; the result is
	// {oid: value, ...}.
	BulkGet

	// Table ("table") reads the table whose entry (row) object is named, and
	// BulkTable ("bulktable") the one whose table object is named; the result is
	// {index: {column: value, ...}, ...}.
	Table
	BulkTable

	// Set ("set") and MultiSet ("multiset") write objects. They are for commands.
	Set
	MultiSet
)

func methodNames() []string {
	return []string{
		"get", "multiget", "getnext", "walk", "multiwalk", "bulkwalk", "bulkget", "table", "bulktable", "set", "multiset",
	}
}

func (m Method) String() string {
	if names := methodNames(); int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("method %d", uint8(m))
}

func parseMethod(s string) (Method, error) {
	for i, name := range methodNames() {
		if strings.EqualFold(strings.TrimSpace(s), name) {
			return Method(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not one of %s", s, strings.Join(methodNames(), ", "))
}

func (m Method) valid() bool  { return m <= MultiSet }
func (m Method) writes() bool { return m == Set || m == MultiSet }

// single reports whether m takes one object.
func (m Method) single() bool {
	switch m {
	case Get, GetNext, Walk, Table, BulkTable, Set:
		return true
	default:
		return false
	}
}
