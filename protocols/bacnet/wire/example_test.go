package wire_test

import (
	"fmt"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// A request to read the present value of an analog input.
func ExampleAPDU_Append() {
	ref := wire.Reference{Object: wire.NewObjectID(wire.AnalogInput, 5), Property: wire.PresentValue, Index: wire.WholeArray}
	a := wire.APDU{
		Type: wire.ConfirmedRequest, MaxAPDU: wire.LengthCode(1476), InvokeID: 1, Service: wire.ServiceReadProperty,
		Payload: wire.AppendReadProperty(nil, ref),
	}
	n := wire.NPDU{Reply: true}
	fmt.Printf("%x\n", wire.Finish(a.Append(n.Append(wire.Begin(nil, wire.OriginalUnicast)))))
	fmt.Println(ref)
	// Output:
	// 810a001101040005010c0c000000051955
	// analog-input,5:present-value
}
