// Package mqtt connects MQTT devices, through a broker, to a gateway.
//
// A QoS 1 message is acknowledged to the broker when what it says is durable in
// the gateway's event store, in the order in which the broker sent it, and with
// as many messages in flight as the broker allows. With a persistent session
// ([Config.KeepSession]) nothing is lost while the gateway is down: what was not
// acknowledged is delivered again. A message that cannot be converted, or that
// the gateway refuses as invalid, would fail again, so it is counted, logged
// once, and acknowledged.
//
// # Topics
//
// A message is converted by every mapping whose filter matches its topic, and
// acknowledged once. Matching is that of the MQTT specification: a/# matches a,
// + matches an empty level, wildcards do not match topics that start with $, and
// $share/group/filter matches what filter matches.
//
// Where filters overlap, a broker may deliver a message once, or once for each
// subscription. So that both mean the same, a filter that another one covers is
// not subscribed to by itself. Where two filters overlap only in part, some
// brokers deliver a message twice; it is then stored twice, because a copy cannot
// be told from a device that sends the same again.
//
// # Files
//
// [Type] reads the mqtt.json of the ThingsBoard IoT gateway:
//
//	{"broker": {"host": "localhost", "port": 1883, "clientId": "gateway",
//	            "cleanSession": false, "security": {"type": "anonymous"}},
//	 "mapping": [{"topicFilter": "sensor/+/data", "subscriptionQos": 1,
//	  "converter": {"type": "json",
//	   "deviceInfo": {"deviceNameExpressionSource": "topic",
//	                  "deviceNameExpression": "(?<=sensor/)(.*?)(?=/data)",
//	                  "deviceProfileExpressionSource": "constant",
//	                  "deviceProfileExpression": "thermometer"},
//	   "timeseries": [{"key": "temperature", "type": "double", "value": "${temp}"}]}}]}
//
// It adds to that format: broker.transport ("tcp" or "websocket") and
// broker.path; in a bytes converter's entries decode ("int", "uint", "float")
// and byteOrder ("big", "little"); the value type "json".
//
// # Limits
//
// MQTT 3.1.1 is spoken; QoS 2 is subscribed to as QoS 1. While the store blocks,
// the connection is not read once [Config.Inflight] messages wait, so that a long
// block ends it; the broker delivers again what was not acknowledged. Subscriptions
// of a persistent session that are no longer configured stay until the broker
// forgets the session; their messages are acknowledged and dropped.
package mqtt
