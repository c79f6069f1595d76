package table

const attributesResponse = "PUBLISH v1/gateway/attributes/response "

// requestRows are requests for attributes of devices, and what they answer.
func requestRows() []Row {
	const (
		post    = "v1/gateway/attributes"
		request = "v1/gateway/attributes/request"
		source  = "JsonConverter 357-371"
	)
	set := Step{Publish: post, Payload: `{"$d":{"a":1,"b":"x"}}`, QoS: 1, Want: stored()}
	ask := func(payload, answer string) Step {
		return Step{Publish: request, Payload: payload, QoS: 1, Want: []string{"PUBACK", attributesResponse + answer}}
	}
	return []Row{
		{Name: "attribute request with key", Source: source, Steps: []Step{set, ask(
			`{"id":7,"device":"$d","client":true,"key":"a"}`, `{"id":7,"device":"$d","value":1}`)}},
		{Name: "attribute request with one of keys", Source: source, Steps: []Step{set, ask(
			`{"id":8,"device":"$d","client":true,"keys":["b"]}`, `{"id":8,"device":"$d","value":"x"}`)}},
		{Name: "attribute request with several keys", Source: source, Steps: []Step{set, ask(
			`{"id":9,"device":"$d","client":true,"keys":["a","b"]}`, `{"id":9,"device":"$d","values":{"a":1,"b":"x"}}`)}},
		{Name: "attribute request with several keys, of which one exists", Source: source + "; multiple attributes request", Steps: []Step{set, ask(
			`{"id":10,"device":"$d","client":true,"keys":["a","none"]}`, `{"id":10,"device":"$d","values":{"a":1}}`)}},
		{Name: "attribute request that finds nothing", Source: source, Steps: []Step{set, ask(
			`{"id":11,"device":"$d","client":true,"key":"none"}`, `{"id":11,"device":"$d"}`)}},
		{Name: "attribute request for shared attributes that do not exist", Source: source, Steps: []Step{set, ask(
			`{"id":12,"device":"$d","client":false,"keys":["a","b"]}`, `{"id":12,"device":"$d"}`)}},
		{Name: "attribute request for a shared attribute", Source: source, Needs: NeedOperator, Steps: []Step{
			set,
			{
				Operate: &Operation{Do: SetAttribute, Device: "$d", Key: "sp", Value: []byte("20")},
				Want:    []string{`PUBLISH v1/gateway/attributes {"device":"$d","data":{"sp":20}}`, "REPLY null"},
			},
			ask(`{"id":13,"device":"$d","client":false,"key":"sp"}`, `{"id":13,"device":"$d","value":20}`),
		}},
		one("attribute request that is an array", "MqttTransportHandler 461", request, `[1]`, crashes(), nil),
		one("attribute request without an id", "MqttTransportHandler 461", request, `{"device":"$d","client":true,"key":"a"}`, crashes(), nil),
		one("attribute request without keys", "MqttTransportHandler 461", request, `{"id":1,"device":"$d","client":true}`, crashes(), nil),
		one("attribute request that is cut off", "MqttTransportHandler 669-676", request, `{"id":1`, badInput(), ends()),
		one("attribute request for a device that cannot be created", "AbstractGatewaySessionHandler, processGetAttributeRequestMessage",
			request, `{"id":1,"device":"$long","client":true,"key":"a"}`, []string{"PUBACK 131"}, nil),
	}
}

// pushRows are what the platform sends by itself.
func pushRows() []Row {
	const notices = "DefaultGatewayNotificationsService"
	connect := Step{Publish: "v1/gateway/connect", Payload: `{"device":"$d"}`, QoS: 1, Want: stored()}
	subscribe := func(filter string) Step {
		return Step{Subscribe: []string{filter}, QoS: 1, Want: []string{"SUBACK 1"}}
	}
	operate := func(o Operation, want ...string) Step { return Step{Operate: &o, Want: want} }
	ownCalls := subscribe("v1/devices/me/rpc/request/+")
	reply := func(topic, payload, answer string) Step {
		return Step{Publish: topic, Payload: payload, QoS: 1, Want: []string{"PUBACK", "REPLY " + answer}}
	}
	row := func(name, source string, steps ...Step) Row {
		return Row{Name: name, Source: source, Needs: NeedOperator, Steps: steps}
	}
	set := operate(Operation{Do: SetAttribute, Device: "$d", Key: "k", Value: []byte(`"v"`)},
		`PUBLISH v1/gateway/attributes {"device":"$d","data":{"k":"v"}}`, "REPLY null")
	return []Row{
		row("shared attribute that changes, without a subscription", "JsonConverter 344-356", connect, set),
		row("shared attribute that changes", "JsonConverter 344-356", connect, subscribe("v1/gateway/attributes"), set),
		row("shared attribute that is deleted", "JsonConverter 373-378", connect, set,
			operate(Operation{Do: DeleteAttribute, Device: "$d", Key: "k"},
				`PUBLISH v1/gateway/attributes {"device":"$d","data":{"deleted":["k"]}}`, "REPLY null")),
		row("call to a device", "JsonConverter 198-206, 524-529", connect,
			operate(Operation{Do: Call, Device: "$d", Key: "setX", Value: []byte(`{"v":1}`)},
				`PUBLISH v1/gateway/rpc {"device":"$d","data":{"id":"$id","method":"setX","params":{"v":1}}}`),
			reply("v1/gateway/rpc", `{"device":"$d","id":$id,"data":{"success":true}}`, `{"success":true}`)),
		row("call to the gateway itself", "MqttTransportHandler 838-930", ownCalls,
			operate(Operation{Do: Call, Key: "gateway_ping", Value: []byte(`{}`)},
				`PUBLISH v1/devices/me/rpc/request/$id {"method":"gateway_ping","params":{}}`),
			reply("v1/devices/me/rpc/response/$id", `{"code":200}`, `{"code":200}`)),
		row("shared attribute of the gateway itself", "MqttTransportHandler 838-930", subscribe("v1/devices/me/attributes"),
			operate(Operation{Do: SetAttribute, Key: "$d", Value: []byte(`[1]`)}, `PUBLISH v1/devices/me/attributes {"$d":[1]}`, "REPLY null"),
			operate(Operation{Do: DeleteAttribute, Key: "$d"}, `PUBLISH v1/devices/me/attributes {"deleted":["$d"]}`, "REPLY null")),
		row("device that is renamed", notices, connect, ownCalls,
			operate(Operation{Do: Rename, Device: "$d", To: "$e"},
				`PUBLISH v1/devices/me/rpc/request/$id {"method":"gateway_device_renamed","params":"{\"$d\":\"$e\"}"}`),
			reply("v1/devices/me/rpc/response/$id", `{"success":true}`, `{"success":true}`)),
		row("device that is deleted", notices, connect, ownCalls,
			operate(Operation{Do: Delete, Device: "$d"},
				`PUBLISH v1/devices/me/rpc/request/$id {"method":"gateway_device_deleted","params":"\"$d\""}`),
			reply("v1/devices/me/rpc/response/$id", `{"success":true}`, `{"success":true}`)),
	}
}

// ownRows are what a gateway says and asks as a device.
func ownRows() []Row {
	const (
		me     = "v1/devices/me/"
		source = "MqttTopics; MqttTransportHandler 500-600"
		text   = "MqttTransportHandler 669-676"
	)
	post := Step{Publish: me + "attributes", Payload: `{"$d":"x"}`, QoS: 1, Want: stored()}
	ask := func(payload, answer string) Step {
		return Step{
			Publish: me + "attributes/request/4", Payload: payload, QoS: 1,
			Want: []string{"PUBACK", "PUBLISH " + me + "attributes/response/4 " + answer},
		}
	}
	plain := one("telemetry of a device that is no gateway", source, me+"telemetry", `{"a":1}`, stored(), nil)
	plain.Login.Device = true
	return []Row{
		one("own telemetry", source, me+"telemetry", `{"a":1}`, stored(), nil),
		one("own telemetry with a time", source, me+"telemetry", `{"ts":1700000000000,"values":{"a":1}}`, stored(), nil),
		one("own telemetry in an array", source, me+"telemetry", `[{"a":1},{"ts":1,"values":{"b":2}}]`, stored(), nil),
		one("own telemetry that is cut off", text, me+"telemetry", `{"a":`, badInput(), ends()),
		one("own attributes that are cut off", text, me+"attributes", `{"a":`, badInput(), ends()),
		one("own telemetry, short topic", source, "v2/t", `{"a":1}`, stored(), nil),
		one("own telemetry, short topic for JSON", source, "v2/t/j", `{"a":1}`, stored(), nil),
		one("own attributes, short topic", source, "v2/a", `{"a":1}`, stored(), nil),
		with(NeedPlainDevice, plain),
		{Name: "own client attribute", Source: source, Steps: []Step{post, ask(`{"clientKeys":"$d"}`, `{"client":{"$d":"x"}}`)}},
		{Name: "own attributes that do not exist", Source: source, Steps: []Step{ask(`{"clientKeys":"$e","sharedKeys":"$e"}`, `{}`)}},
		{Name: "own attributes, all of them", Source: source, Steps: []Step{post, ask(`{}`, `"$any"`)}},
		{Name: "own client attribute, short topic", Source: source, Steps: []Step{post, {
			Publish: "v2/a/req/5", Payload: `{"clientKeys":"$d"}`, QoS: 1,
			Want: []string{"PUBACK", `PUBLISH v2/a/res/5 {"client":{"$d":"x"}}`},
		}}},
		{Name: "session limits", Source: "MqttTransportHandler 142, 579, 1482-1516", Steps: []Step{{
			Publish: me + "rpc/request/6", Payload: `{"method":"getSessionLimits","params":{}}`, QoS: 1,
			Want: []string{"PUBACK", "PUBLISH " + me + `rpc/response/6 {"maxPayloadSize":"$any","maxInflightMessages":"$any",` +
				`"rateLimits":{"messages":"$any","telemetryMessages":"$any","telemetryDataPoints":"$any"},` +
				`"gatewayRateLimits":{"messages":"$any","telemetryMessages":"$any","telemetryDataPoints":"$any"}}`},
		}}},
	}
}

// valueRows are the rules by which values are stored, as seen in attributes.
func valueRows() []Row {
	const source = "JsonConverter 236-241"
	row := func(name, sent, got string) Row {
		return Row{Name: "values: " + name, Source: source, Steps: []Step{
			{Publish: "v1/gateway/attributes", Payload: `{"$d":{` + sent + `}}`, QoS: 1, Want: stored()},
			{
				Publish: "v1/gateway/attributes/request", QoS: 1,
				Payload: `{"id":1,"device":"$d","client":true,"keys":["a","b","c","d"]}`,
				Want:    []string{"PUBACK", attributesResponse + `{"id":1,"device":"$d","values":{` + got + `}}`},
			},
		}}
	}
	return []Row{
		row("numbers and booleans", `"a":1,"b":1.5,"c":1e3,"d":true`, `"a":1,"b":1.5,"c":1000,"d":true`),
		row("objects and arrays", `"a":{"x":[1,"y"]},"b":[]`, `"a":{"x":[1,"y"]},"b":[]`),
		row("null is skipped", `"a":null,"b":1`, `"b":1`),
		row("strings that look like numbers become numbers", `"a":"12","b":"0012","c":"12.50"`, `"a":12,"b":12,"c":12.5`),
		row("strings that do not look like numbers stay", `"a":"+12","b":"1e3","c":" 12","d":"true"`, `"a":"+12","b":"1e3","c":" 12","d":"true"`),
		row("numbers of more than 16 decimals become strings", `"a":0.30000000000000004,"b":0.1`, `"a":"0.30000000000000004","b":0.1`),
		row("integers that are too large become strings", `"a":9223372036854775808,"b":9223372036854775807`, `"a":"9223372036854775808","b":9223372036854775807`),
		row("of members with one name the last counts", `"a":1,"a":2`, `"a":2`),
	}
}
