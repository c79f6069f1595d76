package table

// What the platform does with a message, on MQTT 5.
func stored() []string   { return []string{"PUBACK"} }
func crashes() []string  { return []string{"PUBACK 131", "closed"} }
func nothing() []string  { return []string{} }
func ends() []string     { return []string{"closed"} }
func badInput() []string { return []string{"PUBACK 153"} }

// one is a row of one publication with QoS 1.
func one(name, source, topic, payload string, want, want3 []string) Row {
	return Row{Name: name, Source: source, Steps: []Step{{Publish: topic, Payload: payload, QoS: 1, Want: want, Want3: want3}}}
}

// with returns r with a need.
func with(need Need, r Row) Row {
	r.Needs = need
	return r
}

func deviceRows() []Row {
	const (
		connect    = "v1/gateway/connect"
		disconnect = "v1/gateway/disconnect"
		source     = "AbstractGatewaySessionHandler 260-270, 330-360"
		runtime    = "AbstractGatewaySessionHandler 260-270; MqttTransportHandler 461"
		text       = "MqttTransportHandler 669-676"
		creation   = "AbstractGatewaySessionHandler 922-935"
		gone       = "AbstractGatewaySessionHandler 429-432"
	)
	row := Row{Name: "disconnect of a connected device", Source: gone, Steps: []Step{
		{Publish: connect, Payload: `{"device":"$d"}`, QoS: 1, Want: stored()},
		{Publish: disconnect, Payload: `{"device":"$d"}`, QoS: 1, Want: stored()},
	}}
	plain := one("gateway topic of a device that is no gateway", "MqttTransportHandler 419-424", connect, `{"device":"$d"}`, nothing(), nil)
	plain.Login.Device = true
	return []Row{
		one("connect with a type", source, connect, `{"device":"$d","type":"default"}`, stored(), nil),
		one("connect without a type", source, connect, `{"device":"$d"}`, stored(), nil),
		one("connect with an empty name", runtime, connect, `{"device":""}`, crashes(), nil),
		one("connect without a name", runtime, connect, `{"type":"default"}`, crashes(), nil),
		one("connect with an array", runtime, connect, `[1]`, crashes(), nil),
		one("connect with a text that is not JSON", text, connect, `{"device":`, badInput(), ends()),
		one("connect with a name that is too long", creation, connect, `{"device":"$long"}`, []string{"PUBACK 128"}, nil),
		with(NeedTypeProblem, one("connect with a type that cannot be created", creation, connect,
			`{"device":"$d","type":"refused"}`, []string{"PUBACK 128"}, nil)),
		with(NeedDeviceLimit, one("connect over the limit of devices", creation, connect, `{"device":"$d"}`, []string{"PUBACK 151"}, nil)),
		row,
		one("disconnect of an unknown device", gone, disconnect, `{"device":"$d"}`, stored(), nil),
		one("disconnect without a name", gone, disconnect, `{}`, crashes(), nil),
		one("disconnect with a text that is not JSON", gone, disconnect, `}`, badInput(), ends()),
		one("unknown topic of the gateway API", "MqttTransportHandler 457", "v1/gateway/unknown", `{}`, []string{"PUBACK 144"}, nil),
		with(NeedPlainDevice, plain),
	}
}

func telemetryRows() []Row {
	const (
		topic   = "v1/gateway/telemetry"
		source  = "AbstractGatewaySessionHandler 434-475, 863-868"
		skipped = "AbstractGatewaySessionHandler 438-446"
		none    = "MqttTransportHandler 461; AbstractGatewaySessionHandler 448-450"
		text    = "MqttTransportHandler 669-676"
		element = "AbstractGatewaySessionHandler 820-827"
		good    = `{"$d":[{"ts":1700000000000,"values":{"a":1}}]}`
	)
	at := func(name, source, payload string, want, want3 []string) Row {
		return one("telemetry "+name, source, topic, payload, want, want3)
	}
	bad := func(name, payload string) Row { return at(name, element, payload, badInput(), ends()) }
	broken := func(name, payload string) Row { return at(name, text, payload, badInput(), ends()) }
	rows := []Row{
		at("of one device", source, good, stored(), nil),
		at("of several devices", source, `{"$d":[{"ts":1,"values":{"a":1}}],"$e":[{"ts":1,"values":{"a":1}},{"ts":2,"values":{"b":"x"}}]}`, stored(), nil),
		at("without a time", source, `{"$d":[{"a":1,"b":true}]}`, stored(), nil),
		at("with an empty array", source, `{"$d":[]}`, stored(), nil),
		at("with metadata", source, `{"$d":[{"ts":1,"values":{"a":1},"metadata":{"connector":"c","receivedTs":1,"publishedTs":2}}]}`, stored(), nil),
		at("with members that are not arrays beside one that is", skipped, `{"$d":[{"ts":1,"values":{"a":1}}],"$e":5}`, stored(), nil),
		at("that is an array", none, `[{"ts":1,"values":{"a":1}}]`, crashes(), nil),
		at("that is a number", none, `5`, crashes(), nil),
		at("that is an empty object", none, `{}`, crashes(), nil),
		at("without a member that is an array", none, `{"$d":{"ts":1,"values":{"a":1}}}`, crashes(), nil),
		broken("that is cut off", `{"$d":[{"ts":1,"values":{"a":1}}`),
		broken("with a comma before the end", `{"$d":[{"ts":1,"values":{"a":1,}}]}`),
		broken("with text after the end", good+" x"),
		broken("that is empty", ``),
		bad("with an element that is a number", `{"$d":[5]}`),
		bad("with a time that is a word", `{"$d":[{"ts":"abc","values":{"a":1}}]}`),
		bad("with a time that is null", `{"$d":[{"ts":null,"values":{"a":1}}]}`),
		bad("with values that are an array", `{"$d":[{"ts":1,"values":[1]}]}`),
		bad("with metadata that is a text", `{"$d":[{"ts":1,"values":{"a":1},"metadata":"x"}]}`),
		bad("with one bad element after a good one", `{"$d":[{"ts":1,"values":{"a":1}},{"ts":2,"values":3}]}`),
		with(NeedAckInvalid, Row{
			Name: "telemetry that is cut off, with PUBACK on validation errors", Source: text,
			Steps: []Step{{Publish: topic, Payload: `{`, QoS: 1, Want: badInput()}},
		}),
		with(NeedBackendFailure, at("while the back end fails", "AbstractGatewaySessionHandler 897-903", good, []string{"PUBACK 128", "closed"}, nil)),
		{
			Name: "telemetry with QoS 0", Source: source,
			Steps: []Step{{Publish: topic, Payload: good, Want: nothing()}},
		},
	}
	return append(rows, limitRows(good)...)
}

func limitRows(good string) []Row {
	const topic, source = "v1/gateway/telemetry", "AbstractGatewaySessionHandler 888-896; DefaultTransportRateLimitService 78-110"
	send := Step{Publish: topic, Payload: good, QoS: 1, Want: stored()}
	over := send
	over.Want = []string{"PUBACK 151", `PUBLISH v1/gateway/disconnect {"device":"$d","reason":150}`, "closed"}
	over.Want3 = []string{"PUBACK", "closed"}
	own := Step{Publish: "v1/devices/me/telemetry", Payload: `{"a":1}`, QoS: 1, Want: stored()}
	ownOver := own
	ownOver.Want = ends()
	return []Row{
		{Name: "telemetry over a rate limit", Source: source, Needs: NeedRateLimit, Steps: []Step{send, send, over}},
		{
			Name: "telemetry of the gateway itself over a rate limit", Source: "MqttTransportHandler 733-735", Needs: NeedRateLimit,
			Steps: []Step{own, own, ownOver},
		},
	}
}

func attributeRows() []Row {
	const (
		topic  = "v1/gateway/attributes"
		source = "AbstractGatewaySessionHandler 434-475"
		none   = "MqttTransportHandler 461; AbstractGatewaySessionHandler 448-450"
		text   = "MqttTransportHandler 669-676"
	)
	return []Row{
		one("attributes of one device", source, topic, `{"$d":{"serial":"X1"}}`, stored(), nil),
		one("attributes of several devices", source, topic, `{"$d":{"a":1},"$e":{"a":2}}`, stored(), nil),
		one("attributes with members that are not objects beside one that is", source, topic, `{"$d":{"a":1},"$e":[1]}`, stored(), nil),
		one("attributes that are an array", none, topic, `[1]`, crashes(), nil),
		one("attributes that are an empty object", none, topic, `{}`, crashes(), nil),
		one("attributes without a member that is an object", none, topic, `{"$d":1}`, crashes(), nil),
		one("attributes that are cut off", text, topic, `{"$d":{"a":1}`, badInput(), ends()),
	}
}

func replyRows() []Row {
	const rpc, claim = "v1/gateway/rpc", "v1/gateway/claim"
	const runtime, text = "MqttTransportHandler 461", "MqttTransportHandler 669-676"
	const source = "AbstractGatewaySessionHandler 434-475"
	return []Row{
		one("reply to a call", "AbstractGatewaySessionHandler", rpc, `{"device":"$d","id":1,"data":{"success":true}}`, stored(), nil),
		one("reply to a call that is a number", runtime, rpc, `5`, crashes(), nil),
		one("reply to a call that is cut off", text, rpc, `{"device":`, badInput(), ends()),
		one("claim", source, claim, `{"$d":{"secretKey":"s","durationMs":30000}}`, stored(), nil),
		one("claim that is an empty object", runtime, claim, `{}`, crashes(), nil),
		one("claim that is cut off", text, claim, `{"$d":`, badInput(), ends()),
	}
}
