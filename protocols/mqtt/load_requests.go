package mqtt

import (
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// requests reads the five lists of requests of o, which is "requestsMapping" or,
// in older files, the whole.
func (l *loader) requests(o *conf.Object, cfg *Config) {
	for _, r := range o.Objects("connectRequests") {
		cfg.Connects = append(cfg.Connects, readDeviceRequest(r))
	}
	for _, r := range o.Objects("disconnectRequests") {
		cfg.Disconnects = append(cfg.Disconnects, readDeviceRequest(r))
	}
	for _, r := range o.Objects("attributeRequests") {
		cfg.AttributeRequests = append(cfg.AttributeRequests, readAttributeRequest(r))
	}
	for _, u := range o.Objects("attributeUpdates") {
		cfg.AttributeUpdates = append(cfg.AttributeUpdates, readAttributeUpdate(u))
	}
	for _, r := range o.Objects("serverSideRpc") {
		cfg.RPCs = append(cfg.RPCs, readRPC(r))
	}
}

func readDeviceRequest(o *conf.Object) DeviceRequest {
	defer o.Finish()
	device, _ := device(o, nil)
	r := DeviceRequest{Filter: filter(o), QoS: qos(o, "subscriptionQos", 1), Device: device}
	compileDeviceRequest(r, below(o))
	return r
}

func readAttributeRequest(o *conf.Object) AttributeRequest {
	defer o.Finish()
	device, _ := device(o, nil)
	r := AttributeRequest{
		Filter:   filter(o),
		QoS:      qos(o, "subscriptionQos", 1),
		Device:   device,
		Names:    expression(o, "attributeNameExpression", "attributeNameExpressionSource"),
		Topic:    o.Text("topicExpression", ""),
		Value:    o.Text("valueExpression", ""),
		Client:   o.OneOf("scope", "shared", "shared", "client") == "client",
		Retain:   o.Flag("retain", false),
		ReplyQoS: qos(o, "qos", 0),
	}
	compileAttributeRequest(r, below(o))
	return r
}

func readAttributeUpdate(o *conf.Object) AttributeUpdate {
	defer o.Finish()
	u := AttributeUpdate{
		DeviceFilter:    o.Required("deviceNameFilter"),
		AttributeFilter: o.Required("attributeFilter"),
		Topic:           o.Text("topicExpression", ""),
		Value:           o.Text("valueExpression", ""),
		Retain:          o.Flag("retain", false),
		QoS:             qos(o, "qos", 0),
	}
	compileAttributeUpdate(u, below(o))
	return u
}

func readRPC(o *conf.Object) RPC {
	defer o.Finish()
	o.Ignore("type") // whether there is an answer follows from the other keys
	r := RPC{
		DeviceFilter: o.Required("deviceNameFilter"),
		MethodFilter: o.Required("methodFilter"),
		Topic:        o.Text("requestTopicExpression", ""),
		Value:        o.Required("valueExpression"),
		Retain:       o.Flag("retain", false),
		QoS:          qos(o, "qos", 0),
		ReplyTopic:   o.Text("responseTopicExpression", ""),
		ReplyQoS:     qos(o, "responseTopicQoS", 1),
		Timeout:      o.Duration("responseTimeout", time.Millisecond, 0),
	}
	if r.ReplyTopic != "" && r.Timeout == 0 {
		o.Warn("responseTimeout", "without a time-out the call does not wait for its reply")
		r.ReplyTopic = ""
	}
	compileRPC(r, below(o))
	return r
}
