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
// not subscribed to by itself, and filters that overlap only in part, such as a/+
// and +/b, are subscribed to on connections of their own, whose client identifiers
// end in -2, -3 and so on. A mapping is applied to what the connection of its
// filter brings, so that each message is stored once for each mapping, whatever
// the broker does. A shared filter overlaps with all others that match the same.
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
// Older formats are read too: see [Upgrade]. Keys that mean nothing here are
// logged once each, with the level Info; unknown ones with Warn.
//
// It adds to that format: broker.transport ("tcp" or "websocket"), broker.path and
// broker.proxy; PEM in place of the names of certificate files, and in security
// serverName and insecureSkipVerify; in a bytes converter's entries decode ("int",
// "uint", "float") and byteOrder ("big", "little"); the value type "json"; and
// "compatibility": "thingsboard" at the top, which converts values as the Python
// gateway does where it differs: see [JSONConfig] and [BytesConfig].
//
// # Limits
//
// MQTT 3.1.1 or 5 is spoken; QoS 2 is subscribed to as QoS 1. While the store blocks,
// the connection is not read once [Config.Inflight] messages wait, so that a long
// block ends it; the broker delivers again what was not acknowledged. Subscriptions
// of a persistent session that are no longer configured stay until the broker
// forgets the session; their messages are acknowledged and dropped.
package mqtt
