package table

import "encoding/json"

// A Need is what has to be set up at a server before a row can be played. It
// reads as the end of "needs ...".
type Need string

// The needs of rows.
const (
	NeedNothing        Need = ""
	NeedPlainDevice    Need = "the access token of a device that is not a gateway"
	NeedProvisioning   Need = "a device profile with provisioning, that creates new devices"
	NeedRateLimit      Need = "a rate limit of two messages of telemetry, and two others, an hour for the gateway"
	NeedBackendFailure Need = "a failure of the queue behind the transport"
	NeedAuthFailure    Need = "a failure of what checks credentials"
	NeedConnectLimit   Need = "a limit of connections that is reached"
	NeedDeviceLimit    Need = "a tenant that has no room for another device"
	NeedTypeProblem    Need = "a type of devices that cannot be created, named refused"
	NeedAckInvalid     Need = "a device profile that sends PUBACK on validation errors"
	NeedOperator       Need = "somebody who changes shared attributes, makes calls, and renames and deletes devices"
	NeedFirmware       Need = "firmware with the image 0123456789abcdef assigned to the gateway"
	NeedProtobuf       Need = "a gateway whose device profile uses protobuf"
)

// A Row is one entry of the table.
type Row struct {
	Name   string // unique
	Source string // of the behaviour, in the platform
	Needs  Need
	Login  Login
	Steps  []Step

	// NoPing leaves out the PINGREQ that shows that the connection is still
	// open after the last step.
	NoPing bool
}

// A Login is how a row connects; zero: with the access token.
type Login struct {
	Username, Password, ClientID string // if any is given, instead of the token
	KeepSession                  bool   // do not ask for a clean session
	Device                       bool   // as the device that is not a gateway
	Want, Want3                  []string
}

// A Step sends one thing and waits for what comes back. These words are replaced
// in what is sent and expected: $d and $e by names of devices that are unique to
// the row, $long by a name that is too long, $huge by 70,000 bytes, $key and
// $secret by those of the provisioning, and $id by the number that was last met
// where $id was expected. Where $any is expected, anything is right.
//
// Want is what comes back on MQTT 5, in order:
//
//	CONNACK code[|code] [session]   PUBACK [reason]   SUBACK code...
//	PUBLISH topic payload           DISCONNECT reason closed
//	REPLY json                      no PUBREC
//
// JSON payloads are compared by value. "closed" stands for the end of the
// connection, on MQTT 5 with or without DISCONNECT before it. REPLY is what an
// operation returns. Want3 is what comes back on MQTT 3.1.1; if it is nil, it is
// Want without reasons.
type Step struct {
	Publish   string // topic
	Payload   string
	Body      func(device string) []byte // instead of Payload
	QoS       byte                       // of Publish and Subscribe
	Subscribe []string
	Leave     []string // filters to unsubscribe
	Ping      bool
	Operate   *Operation

	Want, Want3 []string
}

// An Operation is something that a user of the platform does.
type Operation struct {
	Do     Doing
	Device string // empty: the gateway itself
	To     string // the new name, for Rename
	Key    string // of an attribute, or the method of a call
	Value  json.RawMessage
}

// A Doing says what an operation does.
type Doing string

// What operations do.
const (
	SetAttribute    Doing = "set a shared attribute"
	DeleteAttribute Doing = "delete a shared attribute"
	Call            Doing = "call a method"
	Rename          Doing = "rename a device"
	Delete          Doing = "delete a device"
)

// Rows returns the whole table.
func Rows() []Row {
	var rows []Row
	for _, part := range [][]Row{
		connectRows(), subscribeRows(), deviceRows(), telemetryRows(), attributeRows(), requestRows(),
		replyRows(), pushRows(), ownRows(), valueRows(), provisionRows(), firmwareRows(), protobufRows(),
	} {
		rows = append(rows, part...)
	}
	return rows
}
