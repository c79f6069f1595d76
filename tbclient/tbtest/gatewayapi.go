package tbtest

import (
	"errors"
	"fmt"
)

// A codec reads what gateways send, and writes what they are sent, in one
// format. An error of reading that wraps errForm is about an element; one that
// wraps errRuntime makes the platform fail; others are about the format.
type codec interface {
	connect(payload []byte) (name, kind string, err error)
	disconnect(payload []byte) (name string, err error)
	telemetry(payload []byte) ([]deviceData, error)
	attributes(payload []byte) ([]deviceData, error)
	attributeRequest(payload []byte) (attributeRequest, error)
	rpcReply(payload []byte) (rpcReply, error)
	claims(payload []byte) ([]deviceClaim, error)

	attributeResponse(q attributeRequest, found map[string]any, several bool) ([]byte, error)
	attributeNotice(device string, set map[string]any, deleted []string) ([]byte, error)
	rpcRequest(device string, id int64, method string, params any) ([]byte, error)
	disconnected(device string, reason byte) []byte
}

var (
	_ codec = jsonCodec{}
	_ codec = protobufCodec{}
)

func (c *Config) codec() codec {
	if c.Protobuf {
		return protobufCodec{}
	}
	return jsonCodec{valueOfOne: c.ValueOfOne}
}

// errRuntime is what the platform does not expect in a message. It acknowledges
// the message with reason 131 and ends the connection.
var errRuntime = errors.New("tbtest: the platform fails")

// deviceData is what a message says about one device.
type deviceData struct {
	device   string
	elements []element // of telemetry
	values   []keyed   // attributes
}

func (d *deviceData) points() int {
	n := 0
	for _, e := range d.elements {
		n += len(e.values)
	}
	return n
}

type attributeRequest struct {
	id     int64
	device string
	client bool // attributes; otherwise shared ones
	keys   []string
}

type rpcReply struct {
	device string
	id     int64
	data   []byte
}

type deviceClaim struct {
	device string
	Claim
}

// gatewayMessage acts on a message of the gateway API; topic is without its
// prefix.
func (se *session) gatewayMessage(topic string, payload []byte) (after func() error, err error) {
	c := se.srv.cfg.codec()
	switch topic {
	case "connect":
		err = se.connectDevice(c, payload)
	case "disconnect":
		var name string
		if name, err = c.disconnect(payload); err == nil {
			se.srv.disconnectDevice(name)
		}
	case "telemetry":
		var data []deviceData
		if data, err = c.telemetry(payload); err == nil {
			err = se.take(data, se.srv.storeTelemetry)
		}
	case "attributes":
		var data []deviceData
		if data, err = c.attributes(payload); err == nil {
			err = se.take(data, se.srv.storeAttributes)
		}
	case "attributes/request":
		after, err = se.answerAttributes(c, payload)
	case "rpc":
		err = se.replied(c, payload)
	case "claim":
		err = se.claim(c, payload)
	default:
		return nil, acknowledged(reasonTopic, "unknown topic of the gateway API")
	}
	return after, se.treat(err)
}

// treat makes a refusal of an error of a codec.
func (se *session) treat(err error) error {
	var r *refusal
	switch {
	case err == nil, errors.As(err, &r):
		return err
	case errors.Is(err, errRuntime):
		return failed(reasonImplementation, err.Error())
	case errors.Is(err, errForm):
		return se.badElement(err)
	default:
		return se.badText(err)
	}
}

// charge takes a message that a gateway sent about a device from the rate
// limits. It fails as the platform does when its back end fails.
func (se *session) charge(device string, points int) error {
	if se.srv.faults.backendDown() {
		return failed(reasonUnspecified, "the back end fails")
	}
	if se.srv.allow(se, device, points) {
		return nil
	}
	r := failed(reasonQuota, "rate limit")
	r.device = device
	return r
}

func (se *session) connectDevice(c codec, payload []byte) error {
	name, kind, err := c.connect(payload)
	if err != nil {
		return err
	}
	if err := se.charge(name, 0); err != nil {
		return err
	}
	se.srv.event(func() { se.srv.stats.Announced++ })
	if reason := se.srv.open(se, name, kind); reason != 0 {
		return acknowledged(reason, "the device is not created")
	}
	return nil
}

// take stores the data of a message, unless a limit or a fault concerns it.
// Data of devices that cannot be created is lost.
func (se *session) take(data []deviceData, store func(deviceData)) error {
	for _, d := range data {
		if err := se.examine(d); err != nil {
			return err
		}
	}
	for _, d := range data {
		if err := se.charge(d.device, d.points()); err != nil {
			return err
		}
	}
	worst := byte(0)
	for _, d := range data {
		if reason := se.srv.open(se, d.device, "default"); reason != 0 {
			worst = reason
			continue
		}
		store(d)
	}
	if worst != 0 {
		return acknowledged(worst, "a device is not created")
	}
	return nil
}

// examine finds what Config.Refuse does not take.
func (se *session) examine(d deviceData) error {
	refuse := se.srv.cfg.Refuse
	if refuse == nil {
		return nil
	}
	for _, e := range d.elements {
		for _, kv := range e.values {
			if refuse(d.device, kv.key, e.ts, kv.value) {
				return fmt.Errorf("%w: %s of %s at %d is refused", errForm, kv.key, d.device, e.ts)
			}
		}
	}
	return nil
}

// answerAttributes answers a request for attributes of a device.
func (se *session) answerAttributes(c codec, payload []byte) (func() error, error) {
	q, err := c.attributeRequest(payload)
	if err != nil {
		return nil, err
	}
	if err := se.charge(q.device, 0); err != nil {
		return nil, err
	}
	if reason := se.srv.open(se, q.device, "default"); reason != 0 {
		return nil, acknowledged(reasonImplementation, "the device is not created")
	}
	found := se.srv.lookUp(q.device, q.client, q.keys)
	b, err := c.attributeResponse(q, found, len(q.keys) != 1)
	if err != nil {
		return nil, err
	}
	return func() error { return se.send("v1/gateway/attributes/response", b) }, nil
}

func (se *session) replied(c codec, payload []byte) error {
	r, err := c.rpcReply(payload)
	if err != nil {
		return err
	}
	if err := se.charge(r.device, 0); err != nil {
		return err
	}
	se.srv.deliver(callKey{r.device, r.id}, r.data)
	return nil
}

func (se *session) claim(c codec, payload []byte) error {
	claims, err := c.claims(payload)
	if err != nil {
		return err
	}
	for _, k := range claims {
		if err := se.charge(k.device, 0); err != nil {
			return err
		}
		if reason := se.srv.open(se, k.device, "default"); reason != 0 {
			return acknowledged(reason, "the device is not created")
		}
		se.srv.claimed(k.device, k.Claim)
	}
	return nil
}
