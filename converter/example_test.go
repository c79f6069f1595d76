package converter_test

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// frame is the raw message of a protocol.
type frame struct {
	id   string
	data []byte
}

func ExampleUplinkFunc() {
	weight := converter.UplinkFunc[frame](func(f frame, out *telemetry.Batch) error {
		if len(f.data) != 2 {
			return errors.New("a weight has two bytes")
		}
		out.Device(f.id, "scale")
		out.Telemetry("grams", telemetry.Int(int64(binary.BigEndian.Uint16(f.data))))
		return nil
	})

	var b telemetry.Batch
	err := weight.ConvertUplink(frame{"scale-1", []byte{0x01, 0xf4}}, &b)
	fmt.Println(b.Groups()[0].Telemetry[0].Value, err)
	// Output: 500 <nil>
}

func ExampleDownlinkFunc() {
	tare := converter.DownlinkFunc[connector.RPCRequest, frame](func(r connector.RPCRequest) (frame, error) {
		if r.Method != "tare" {
			return frame{}, fmt.Errorf("no method %q", r.Method)
		}
		return frame{r.Device, []byte("T")}, nil
	})
	f, err := tare.ConvertDownlink(connector.RPCRequest{Device: "scale-1", Method: "tare"})
	fmt.Println(f.id, string(f.data), err)
	// Output: scale-1 T <nil>
}
