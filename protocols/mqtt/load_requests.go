package mqtt

import "strings"

// requests reads the five lists of requests of o, which is "requestsMapping" or,
// in older files, the whole.
func (l *loader) requests(o *object, cfg *Config) {
	for i, raw := range o.elements("connectRequests") {
		cfg.Connects = append(cfg.Connects, l.deviceRequest(l.object(raw, o.item("connectRequests", i))))
	}
	for i, raw := range o.elements("disconnectRequests") {
		cfg.Disconnects = append(cfg.Disconnects, l.deviceRequest(l.object(raw, o.item("disconnectRequests", i))))
	}
	for i, raw := range o.elements("attributeRequests") {
		cfg.AttributeRequests = append(cfg.AttributeRequests, l.attributeRequest(l.object(raw, o.item("attributeRequests", i))))
	}
	for i, raw := range o.elements("attributeUpdates") {
		cfg.AttributeUpdates = append(cfg.AttributeUpdates, l.attributeUpdate(l.object(raw, o.item("attributeUpdates", i))))
	}
	for i, raw := range o.elements("serverSideRpc") {
		cfg.RPCs = append(cfg.RPCs, l.rpc(l.object(raw, o.item("serverSideRpc", i))))
	}
}

func (l *loader) deviceRequest(o *object) DeviceRequest {
	defer o.finish()
	device, _ := o.device(nil)
	r := DeviceRequest{Filter: o.filter(), QoS: o.qos("subscriptionQos", 1), Device: device}
	compileDeviceRequest(r, o.problems)
	return r
}

func (l *loader) attributeRequest(o *object) AttributeRequest {
	defer o.finish()
	device, _ := o.device(nil)
	r := AttributeRequest{
		Filter:   o.filter(),
		QoS:      o.qos("subscriptionQos", 1),
		Device:   device,
		Names:    o.expression("attributeNameExpression", "attributeNameExpressionSource"),
		Topic:    o.text("topicExpression"),
		Value:    o.text("valueExpression"),
		Retain:   o.flag("retain", false),
		ReplyQoS: o.qos("qos", 0),
	}
	switch scope := strings.ToLower(o.text("scope")); scope {
	case "", "shared":
	case "client":
		r.Client = true
	default:
		o.oneOf("scope", scope, "shared, client")
	}
	compileAttributeRequest(r, o.problems)
	return r
}

func (l *loader) attributeUpdate(o *object) AttributeUpdate {
	defer o.finish()
	u := AttributeUpdate{
		DeviceFilter:    o.required("deviceNameFilter"),
		AttributeFilter: o.required("attributeFilter"),
		Topic:           o.text("topicExpression"),
		Value:           o.text("valueExpression"),
		Retain:          o.flag("retain", false),
		QoS:             o.qos("qos", 0),
	}
	compileAttributeUpdate(u, o.problems)
	return u
}

func (l *loader) rpc(o *object) RPC {
	defer o.finish()
	o.ignore("type") // whether there is an answer follows from the other keys
	r := RPC{
		DeviceFilter: o.required("deviceNameFilter"),
		MethodFilter: o.required("methodFilter"),
		Topic:        o.text("requestTopicExpression"),
		Value:        o.required("valueExpression"),
		Retain:       o.flag("retain", false),
		QoS:          o.qos("qos", 0),
		ReplyTopic:   o.text("responseTopicExpression"),
		ReplyQoS:     o.qos("responseTopicQoS", 1),
		Timeout:      o.millis("responseTimeout"),
	}
	if r.ReplyTopic != "" && r.Timeout == 0 {
		o.warn("responseTimeout", "without a time-out the call does not wait for its reply")
		r.ReplyTopic = ""
	}
	compileRPC(r, o.problems)
	return r
}
