package mqtt

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Message is a message received from the broker.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool   // it was stored by the broker, and is not new
	Ack      func() // nil for QoS 0; converters must not call it

	link int // the connection that has brought it
}

// UplinkConverter converts the messages of a mapping.
type UplinkConverter = converter.UplinkConverter[Message]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[Message]

// convert calls c and turns a panic into an error, so that a fault in one
// converter does not end the others.
func convert(c UplinkConverter, m Message, out *telemetry.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("mqtt: converter panicked: %v", r)
		}
	}()
	return c.ConvertUplink(m, out)
}
