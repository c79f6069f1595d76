// Package bacnet discovers, polls and writes to BACnet/IP devices (ANSI/ASHRAE 135,
// Annex J), also those behind routers and BBMDs.
//
// # Use
//
// In code:
//
//	c := bacnet.New(bacnet.Config{
//		Local: bacnet.Local{Host: "192.0.2.1", Instance: 599},
//		Devices: []bacnet.Device{{
//			Name: "AHU ${objectName}", Address: "192.0.2.10",
//			Items: []bacnet.Item{
//				{Key: "temperature", Objects: bacnet.Object(wire.AnalogInput, 1)},
//				{Key: "${objectName}", Objects: bacnet.Objects(wire.BinaryInput)},
//			},
//		}},
//	})
//
// In a configuration file, in the form of the ThingsBoard gateway's bacnet.json:
//
//	{"application": {"objectName": "gateway", "host": "192.0.2.1", "port": 47808, "mask": "24",
//		"objectIdentifier": 599, "vendorIdentifier": 15},
//	 "devices": [{
//		"deviceInfo": {"deviceNameExpression": "AHU ${objectName}", "deviceProfileExpression": "default"},
//		"host": "192.0.2.10", "port": 47808, "pollPeriod": 10000, "cov": true,
//		"attributes": [{"key": "unit", "objectType": "analogInput", "objectId": 1, "propertyId": "units"}],
//		"timeseries": [{"key": "${objectName}", "objectType": "analogInput", "objectId": "1-9", "propertyId": "presentValue"}],
//		"attributeUpdates": [
//			{"key": "setpoint", "objectType": "analogValue", "objectId": 5, "propertyId": "presentValue", "priority": 10}],
//		"serverSideRpc": [
//			{"method": "setFan", "requestType": "writeProperty", "objectType": "binaryOutput", "objectId": 1,
//			 "propertyId": "presentValue", "priority": 8}]
//	 }]}
//
// A mistake in a file is reported with its path and value, all of them at once, and
// the connector does not start. The old form of the file (general with address) and
// EDE tables (edeFilePath, edeConfig) are read as well. Beside the reference gateway's
// keys there are cov, decimals, arrayIndex, dataType, apduTimeout and apduRetries.
//
// # Discovery
//
// Who-Is goes out at the start, again after growing delays, and then with the period
// devicesDiscoverPeriodSeconds: to the address of a device, or as a broadcast where a
// pattern of addresses or numbers is given. A device with a fixed address that does
// not answer Who-Is is asked for its device object. A device that changes its address
// is followed when it does not answer at the old one any more.
//
// # Reading
//
// Properties of a device are read together by ReadPropertyMultiple, as many as fit
// into the messages of both sides. Requests that a device refuses are divided, and
// devices that do not know ReadPropertyMultiple are read property by property. What a
// device does not have is reported once, costs nothing else, and is tried again
// rarely. Answers may come in segments.
//
// With COV, present values and status flags are subscribed to, and notifications are
// confirmed when they are durable. Subscriptions are renewed in half their lifetime,
// and made again after the device was away. What cannot be subscribed to is polled.
//
// A device that does not answer three polls in a row is reported offline, and probed
// after growing delays.
//
// # Values
//
// Numbers stay numbers, and real numbers of files are rounded to two decimals as the
// reference gateway does (decimals; 0 to keep them as they are). Booleans and the
// values of binary objects are true and false, enumerations have the names of the
// standard (degrees-celsius), flags those of the bits that are set (in-alarm,fault),
// dates and times are text, and lists are JSON.
//
// # Sockets
//
// Connectors that [Type] makes, and those that are given the same [Sockets], share a
// port. On Unix a second socket hears the broadcasts of the network, as one that is
// bound to an address of its own does not.
//
// # Limits
//
// Requests are not sent in segments; what does not fit into the message that a device
// accepts is refused. SubscribeCOVProperty, alarms, trends, files, BACnet/SC and MS/TP
// without a router are not supported. Strings in the code pages of DBCS are read as
// far as they are ASCII, and otherwise reported in hexadecimal.
package bacnet
