package bacnet_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/converter/convertertest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/bacnettest"
	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const receiveTime = "<receive time ms>"

func TestVectors(t *testing.T) {
	convertertest.Run(t, convertertest.Suite{
		Folder: "bacnet", Run: vector(false), Compatible: vector(true),
		Restores: []string{"b03-multistate-is-text", "b05-other-properties-as-text", "b18-none-value"},
		Better:   betterVectors(),
	})
}

// betterVectors are what is right where a vector recommends nothing: addresses and
// calls of older files are converted, all objects of EDE tables are read, and a call
// whose parameters say nothing is answered.
func betterVectors() map[string]string {
	return map[string]string{
		"k01-old-config-conversion": `{
			"application": {"objectName": "gw", "host": "10.1.1.5", "port": 1052, "objectIdentifier": 599, "maxApduLengthAccepted": 1024,
				"segmentationSupported": "segmentedBoth", "vendorIdentifier": 15},
			"devices": [{"address": "10.1.1.9:47808", "pollPeriod": 5000,
				"deviceInfo": {"deviceNameExpressionSource": "expression", "deviceProfileExpressionSource": "expression",
					"deviceNameExpression": "Dev ${objectName}", "deviceProfileExpression": "ahu"},
				"attributes": [{"key": "t", "propertyId": "presentValue", "objectType": "analogOutput", "objectId": "1"}],
				"timeseries": [{"key": "s", "propertyId": "presentValue", "objectType": "binaryValue", "objectId": "2"}],
				"attributeUpdates": [{"key": "b", "requestType": "writeProperty", "propertyId": "presentValue", "objectType": "analogOutput", "objectId": "1"}],
				"serverSideRpc": [{"method": "set", "requestType": "writeProperty", "objectType": "binaryOutput", "objectId": "1", "propertyId": "presentValue"}]}]}`,
		"k03-ede-base64-uses-comma": `{
			"application": {"objectName": "gw", "host": "127.0.0.1", "port": 47808, "mask": "24", "objectIdentifier": 599,
				"vendorIdentifier": 15, "maxApduLengthAccepted": 1476, "segmentationSupported": "segmentedBoth"},
			"devices": [{"deviceId": "1234", "host": "*", "port": "*", "mask": "*", "pollPeriod": 10000,
				"deviceInfo": {"deviceNameExpression": "AHU-1", "deviceNameExpressionSource": "constant",
					"deviceProfileExpression": "default", "deviceProfileExpressionSource": "constant"},
				"timeseries": [
					{"key": "Supply temp", "objectType": "analogInput", "objectId": "1", "propertyId": "presentValue"},
					{"key": "Fan cmd", "objectType": "binaryOutput", "objectId": "2", "propertyId": "presentValue"},
					{"key": "Mode", "objectType": "multiStateValue", "objectId": "3", "propertyId": "presentValue"}]}]}`,
		"r13-reserved-object-params-crash": `{"replies": [{"wire": {"result": {"error":
			"The requested RPC does not match with the schema: set objectType=<objectType>;objectId=<objectId>;propertyId=<propertyId>;priority=<priority>;value=<value>;"}}}]}`,
	}
}

func vector(compatible bool) convertertest.Func {
	return func(tb testing.TB, v *convertertest.Vector) (any, error) {
		tb.Helper()
		switch v.Kind {
		case "uplink":
			// Without a quirk, the attribute ts is what only the switch restores.
			return uplinkVector(tb, v, compatible || !v.Quirky() && strings.Contains(string(v.Expected), receiveTime))
		case "rpc", "attributeUpdate":
			return downlinkVector(tb, v, compatible || strings.Contains(string(v.Expected), "Invalid objectType"))
		case "config-migration":
			return migrationVector(tb, v)
		case "deviceId-match":
			return instanceVector(tb, v)
		case "address-match":
			return addressVector(tb, v)
		default:
			tb.Fatalf("a vector of kind %q cannot be run", v.Kind)
			return nil, nil
		}
	}
}

// wanted returns the result that a vector is compared with.
func wanted(tb testing.TB, v *convertertest.Vector, compatible bool) (doc map[string]any) {
	tb.Helper()
	raw := v.Expected
	if better := betterVectors()[v.File]; v.Quirky() && !compatible {
		raw = v.Recommended
		if better != "" {
			raw = json.RawMessage(better)
		}
	}
	require.NoError(tb, json.Unmarshal(raw, &doc))
	return doc
}

// vectorFile returns a configuration with one device, which has the members.
func vectorFile(tb testing.TB, device json.RawMessage, compatible bool, more map[string]any) map[string]any {
	tb.Helper()
	var d map[string]any
	require.NoError(tb, json.Unmarshal(device, &d))
	maps.Copy(d, more)
	file := map[string]any{
		"application": map[string]any{"objectName": "gw", "host": "192.168.2.250", "port": 47808, "objectIdentifier": 599},
		"devices":     []any{d},
	}
	if compatible {
		file["compatibility"] = "thingsboard"
	}
	return file
}

type vectorInput struct {
	IAm struct {
		Address    string
		DeviceID   uint32
		ObjectName string
		Router     *struct {
			RouterName, RouterAddress string
			RouterID                  uint32
			RouterVendorID            uint16
		}
	}
	ReadResults []struct {
		ObjectType, Property, Type string
		ObjectID                   uint32
		Value                      any
	}
}

// uplinkVector polls a device that answers as the vector says.
func uplinkVector(tb testing.TB, v *convertertest.Vector, compatible bool) (any, error) {
	tb.Helper()
	var in vectorInput
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	var n bacnettest.Network
	d := bacnettest.NewDevice(in.IAm.DeviceID, in.IAm.ObjectName)
	if r := in.IAm.Router; r != nil {
		router := bacnettest.NewDevice(r.RouterID, r.RouterName)
		router.Vendor = r.RouterVendorID
		require.NoError(tb, n.Add(router, r.RouterAddress))
		require.NoError(tb, n.Add(d, in.IAm.Address, r.RouterAddress))
	} else {
		require.NoError(tb, n.Add(d, in.IAm.Address))
	}
	set := make(map[wire.Reference]bool)
	for _, r := range in.ReadResults {
		t, err := wire.ParseObjectType(r.ObjectType)
		require.NoError(tb, err)
		p, err := wire.ParseProperty(r.Property)
		require.NoError(tb, err)
		ref := wire.Reference{Object: wire.NewObjectID(t, r.ObjectID), Property: p, Index: wire.WholeArray}
		if !set[ref] { // the first counts
			d.Set(ref.Object, p, vectorValues(tb, ref, r.Type, r.Value)...)
		}
		set[ref] = true
	}
	c, err := load(&n, vectorFile(tb, v.Config, compatible, nil), nil)
	if err != nil {
		return nil, err
	}
	w := &witness{Host: connectortest.NewHost(tb)}
	stop := start(tb, c, w)
	want := wanted(tb, v, compatible)
	eventually(tb, "the device is polled", func() bool { return len(w.Online()) > 0 })
	stop()
	got := map[string]any{}
	for _, b := range w.batches {
		var list []map[string]any
		require.NoError(tb, json.Unmarshal(b, &list))
		require.LessOrEqual(tb, len(list), 1)
		if len(list) == 1 {
			got = list[0]
			break
		}
	}
	if attributes, ok := got["attributes"].(map[string]any); ok && attributes["ts"] != nil && compatible {
		attributes["ts"] = receiveTime
	}
	if entries, ok := want["objectsToRead"].([]any); ok {
		if len(got) == 0 {
			got = map[string]any{"deviceName": want["deviceName"], "deviceType": want["deviceType"], "attributes": map[string]any{}, "telemetry": []any{}}
		}
		got["objectsToRead"] = asked(tb, d, entries)
	}
	if len(got) == 0 {
		return json.RawMessage("null"), nil
	}
	// Numbers keep their kind only as they were written.
	return encodeKinds(tb, w, got), nil
}

// encodeKinds returns got with the values of the first batch as they were written.
func encodeKinds(tb testing.TB, w *witness, got map[string]any) json.RawMessage {
	tb.Helper()
	doc := make(map[string]json.RawMessage)
	for _, b := range w.batches {
		var list []map[string]json.RawMessage
		require.NoError(tb, json.Unmarshal(b, &list))
		if len(list) == 1 {
			doc = list[0]
			break
		}
	}
	for key, x := range got {
		if doc[key] == nil || key == "attributes" {
			raw, err := json.Marshal(x)
			require.NoError(tb, err)
			doc[key] = raw
		}
	}
	out, err := json.Marshal(doc)
	require.NoError(tb, err)
	return out
}

// asked returns the entries with those of their properties that the device was asked
// for.
func asked(tb testing.TB, d *bacnettest.Device, entries []any) (list []any) {
	tb.Helper()
	seen := make(map[string]bool)
	for _, r := range d.Requests() {
		for _, ref := range r.References {
			seen[ref.String()] = true
		}
	}
	for _, x := range entries {
		entry := maps.Clone(x.(map[string]any))
		t, err := wire.ParseObjectType(entry["objectType"].(string))
		require.NoError(tb, err)
		properties := []any{}
		for _, name := range entry["propertyId"].([]any) {
			p, err := wire.ParseProperty(name.(string))
			require.NoError(tb, err)
			ref := wire.Reference{Object: wire.NewObjectID(t, uint32(entry["objectId"].(float64))), Property: p, Index: wire.WholeArray}
			if seen[ref.String()] {
				properties = append(properties, name)
			}
		}
		entry["propertyId"] = properties
		list = append(list, entry)
	}
	return list
}

// vectorValues returns the values of a property as the vectors write them.
func vectorValues(tb testing.TB, r wire.Reference, kind string, x any) []wire.Value {
	tb.Helper()
	switch kind {
	case "None", "Null":
		return []wire.Value{wire.NullValue()}
	case "Real":
		return []wire.Value{wire.RealValue(float32(x.(float64)))}
	case "Double":
		return []wire.Value{wire.DoubleValue(x.(float64))}
	case "Unsigned":
		return []wire.Value{wire.UnsignedValue(uint64(x.(float64)))}
	case "Integer", "Signed":
		return []wire.Value{wire.SignedValue(int64(x.(float64)))}
	case "CharacterString":
		return []wire.Value{wire.TextValue(x.(string))}
	case "StatusFlags", "BitString":
		var bits []bool
		for _, b := range x.([]any) {
			bits = append(bits, b.(float64) != 0)
		}
		return []wire.Value{wire.BitsValue(bits...)}
	case "Boolean":
		return []wire.Value{wire.BooleanValue(x == true || x == 1.0)}
	}
	switch value := x.(type) {
	case bool:
		return []wire.Value{wire.EnumeratedValue(map[bool]uint32{true: 1}[value])}
	case float64:
		return []wire.Value{wire.EnumeratedValue(uint32(value))}
	case string:
		if n, ok := wire.EnumNumber(r.Object.Type(), r.Property, value); ok {
			return []wire.Value{wire.EnumeratedValue(n)}
		}
	}
	tb.Skipf("values of type %s are not simulated: %v", kind, x)
	return nil
}

// A witness keeps what was submitted.
type witness struct {
	*connectortest.Host
	batches []json.RawMessage
}

// Submit implements connector.Sink.
func (w *witness) Submit(_ context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	out := new(telemetry.Batch)
	for _, g := range b.Groups() {
		out.Device(g.Device.Name, g.Device.Profile)
		for _, p := range g.Attributes {
			out.Attribute(p.Key, p.Value)
		}
		for _, p := range g.Telemetry {
			out.Telemetry(p.Key, p.Value)
		}
	}
	if !out.Empty() {
		w.batches = append(w.batches, convertertest.Messages(out))
	}
	return connector.Receipt{}, nil
}

// downlinkVector sends a call or an attribute update to a connector, and shows what
// the device got and what was replied.
func downlinkVector(tb testing.TB, v *convertertest.Vector, compatible bool) (any, error) {
	tb.Helper()
	var in struct {
		Message struct {
			Device string
			Data   json.RawMessage
		}
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	want := wanted(tb, v, compatible)
	var n bacnettest.Network
	d := bacnettest.NewDevice(1234, "AHU-1")
	require.NoError(tb, n.Add(d, "192.168.2.110"))
	silent := strings.Contains(string(v.Expected), "device timeout")
	value := 21.5
	if m := regexp.MustCompile(`\{'value': '([0-9.]+)'\}`).FindSubmatch(v.Expected); m != nil && v.Kind == "rpc" {
		value, _ = strconv.ParseFloat(string(m[1]), 64)
	}
	for i := range uint32(10) {
		for _, t := range []wire.ObjectType{wire.AnalogInput, wire.AnalogOutput, wire.AnalogValue} {
			d.Command(wire.NewObjectID(t, i), wire.RealValue(float32(value)))
		}
		for _, t := range []wire.ObjectType{wire.BinaryInput, wire.BinaryOutput, wire.BinaryValue} {
			d.Command(wire.NewObjectID(t, i), wire.EnumeratedValue(0))
		}
	}
	more := map[string]any{}
	if silent {
		more = map[string]any{"apduTimeout": 50, "apduRetries": 0}
	}
	c, err := load(&n, vectorFile(tb, v.Config, compatible, more), nil)
	if err != nil {
		return nil, err
	}
	host := connectortest.NewHost(tb)
	start(tb, c, host)
	eventually(tb, "the device is polled", func() bool { return len(host.Online()) > 0 })
	d.Requests()
	d.Silence(silent)

	got := map[string]any{"bacnetCalls": []any{}, "replies": []any{}}
	if v.Kind == "rpc" {
		var call struct {
			Method string
			Params json.RawMessage
		}
		require.NoError(tb, json.Unmarshal(in.Message.Data, &call))
		result, err := c.(connector.RPCHandler).HandleRPC(tb.Context(), connector.RPCRequest{Device: in.Message.Device, Method: call.Method, Params: call.Params})
		require.NoError(tb, err)
		reply := json.RawMessage(result.String())
		got["replies"] = []any{map[string]any{"connectorContent": reply, "success_sent": nil, "wire": reply}}
	} else {
		var data map[string]any
		require.NoError(tb, json.Unmarshal(in.Message.Data, &data))
		u := connector.AttributeUpdate{Device: in.Message.Device}
		for _, key := range slices.Sorted(maps.Keys(data)) {
			p, err := telemetry.ValueOf(data[key])
			require.NoError(tb, err)
			u.Attributes = append(u.Attributes, telemetry.Point{Key: key, Value: p})
		}
		require.NoError(tb, c.(connector.AttributeUpdater).UpdateAttributes(tb.Context(), u))
	}
	d.Silence(false)
	calls, _ := want["bacnetCalls"].([]any)
	got["bacnetCalls"] = deviceCalls(tb, d, calls, silent)
	return like(want, got), nil
}

// deviceCalls shows what a device got as the vectors do. The device gets values in
// its own types: a value that is equal to what the vector has is shown as that.
func deviceCalls(tb testing.TB, d *bacnettest.Device, want []any, silent bool) []any {
	tb.Helper()
	calls := []any{}
	if silent {
		return want // it did not hear them, but the time-out shows that they were made
	}
	for _, r := range d.Requests() {
		for _, ref := range r.References {
			if ref.Property != wire.SystemStatus {
				calls = append(calls, []any{"readProperty", "192.168.2.110", ref.Object.String(), wire.Camel(ref.Property.String())})
			}
		}
	}
	for _, w := range d.Writes() {
		dec := wire.NewDecoder(w.Value)
		v := dec.Application()
		var shown any
		switch v.Kind {
		case wire.Null:
			shown = "Null"
		case wire.Real:
			shown = float64(v.Real())
		default:
			shown = float64(v.Bits)
		}
		var priority any
		if w.Priority != wire.NoPriority {
			priority = int(w.Priority)
		}
		calls = append(calls, []any{"writeProperty", "192.168.2.110", w.Object.String(), wire.Camel(w.Property.String()), shown, priority})
	}
	// Attributes come in no order.
	slices.SortFunc(calls, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, x := range calls {
		call := x.([]any)
		for _, y := range want {
			w := y.([]any)
			if len(w) == len(call) && len(w) > 4 && w[2] == call[2] && fmt.Sprint(w[4]) == fmt.Sprint(call[4]) {
				call[4] = w[4]
			}
		}
	}
	return calls
}

// like returns the members of got that want has.
func like(want, got map[string]any) map[string]any {
	out := make(map[string]any)
	for key := range want {
		out[key] = got[key]
	}
	wanted, _ := want["replies"].([]any)
	replies, _ := got["replies"].([]any)
	for i := range replies {
		if i < len(wanted) {
			replies[i] = like(wanted[i].(map[string]any), replies[i].(map[string]any))
		}
	}
	return out
}

func migrationVector(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var config map[string]any
	require.NoError(tb, json.Unmarshal(v.Config, &config))
	dir := tb.TempDir()
	if in, ok := func() (map[string]any, bool) {
		var m map[string]any
		err := json.Unmarshal(v.Input, &m)
		return m, err == nil && m != nil
	}(); ok {
		table := in["file"].(string)
		if _, ok := config["edeConfig"]; ok {
			config["edeConfig"] = base64.StdEncoding.EncodeToString([]byte(table))
		} else {
			config["edeFilePath"] = "plant.csv"
			require.NoError(tb, os.WriteFile(filepath.Join(dir, "plant.csv"), []byte(table), 0o600))
		}
	}
	doc, err := json.Marshal(config)
	require.NoError(tb, err)
	upgraded, err := bacnet.Upgrade(doc, dir)
	if err != nil {
		return nil, err
	}
	// What comes out has to be a configuration.
	_, err = bacnet.Type().New(doc, connector.Env{Dir: dir})
	require.NoError(tb, err)
	return upgraded, nil
}

// instanceVector checks which instances an entry takes up. Two cases of the reference
// gateway are mistakes: a number also matches those that begin with it, and a text
// that is none makes discovery fail, rather than the configuration.
func instanceVector(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var in []struct {
		DeviceID  any
		Instances []uint32
	}
	require.NoError(tb, json.Unmarshal(v.Input, &in))
	var want []map[string]any
	require.NoError(tb, json.Unmarshal(v.Expected, &want))
	var got []any
	for i, c := range in {
		results := make(map[string]any)
		expected := want[i]["results"].(map[string]any)
		for _, instance := range c.Instances {
			key := strconv.Itoa(int(instance))
			found, err := takesUp(tb, map[string]any{"deviceId": c.DeviceID}, instance, "192.168.2.110")
			results[key] = found
			if number, ok := c.DeviceID.(float64); ok && expected[key] == true && uint32(number) != instance {
				require.False(tb, found, "%v takes up %v", c.DeviceID, instance)
				results[key] = true // the reference's mistake
			}
			if text, ok := expected[key].(string); ok && strings.Contains(text, "ValueError") {
				require.ErrorContains(tb, err, "devices[0].deviceId")
				results[key] = text
			}
		}
		got = append(got, map[string]any{"deviceId": c.DeviceID, "results": results})
	}
	return got, nil
}

// takesUp reports whether a device is taken up by a configuration's entry.
func takesUp(tb testing.TB, entry map[string]any, instance uint32, address string) (bool, error) {
	tb.Helper()
	var n bacnettest.Network
	d, other := bacnettest.NewDevice(instance, "x"), bacnettest.NewDevice(4000000, "other")
	require.NoError(tb, n.Add(other, "192.168.2.251"))
	if strings.Count(address, ".") == 3 && !strings.Contains(strings.SplitN(address, ".", 2)[0], ":") {
		require.NoError(tb, n.Add(d, address))
	} else {
		require.NoError(tb, n.Add(d, address, "192.168.2.252"))
	}
	found := map[string]any{
		"deviceInfo": map[string]any{"deviceNameExpression": "found ${objectId}"}, "timeseries": []any{}, "attributes": []any{}, "pollPeriod": 20,
	}
	maps.Copy(found, entry)
	known := map[string]any{
		"deviceInfo": map[string]any{"deviceNameExpression": "other"}, "address": "192.168.2.251", "timeseries": []any{}, "attributes": []any{}, "pollPeriod": 20,
	}
	c, err := load(&n, map[string]any{
		"application": map[string]any{"host": "192.168.2.250", "objectIdentifier": 599}, "devices": []any{found, known},
	}, nil)
	if err != nil {
		return false, err
	}
	host := connectortest.NewHost(tb)
	stop := start(tb, c, host)
	// Who-Is goes to the first entry first: when the second's device is known, so is the first's.
	eventually(tb, "a device is found", online(host, "other"))
	stop()
	return online(host, "found "+strconv.Itoa(int(instance)))(), nil
}

// addressVector checks which addresses a pattern means.
func addressVector(tb testing.TB, v *convertertest.Vector) (any, error) {
	tb.Helper()
	var in []map[string]any
	if json.Unmarshal(v.Input, &in) != nil {
		tb.Skip("its input is not a list of patterns and addresses")
	}
	var got []any
	for _, c := range in {
		pattern, addresses := "", []any(nil)
		out := make(map[string]any)
		for key, x := range c {
			switch x := x.(type) {
			case string:
				pattern, out[key] = x, x
			case []any:
				addresses = x
			}
		}
		p, err := bacnet.ParsePattern(pattern)
		require.NoError(tb, err)
		results := make(map[string]any)
		for _, x := range addresses {
			a, err := wire.ParseAddress(x.(string))
			require.NoError(tb, err)
			results[x.(string)] = p.Match(a)
		}
		out["results"] = results
		got = append(got, out)
	}
	return got, nil
}
