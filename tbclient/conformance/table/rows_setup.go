package table

import "google.golang.org/protobuf/encoding/protowire"

// provisionRows are what a client that asks to be provisioned meets.
func provisionRows() []Row {
	const (
		request = "/provision/request"
		source  = "MqttTransportHandler 751-762, 1065-1068; JsonConverter 482-508"
		only    = "MqttTransportHandler 1065-1068"
		keys    = `"provisionDeviceKey":"$key","provisionDeviceSecret":"$secret"`
	)
	login := Login{Username: "provision", Want: []string{"CONNACK 0"}}
	row := func(name, source string, steps ...Step) Row {
		return Row{Name: "provisioning: " + name, Source: source, Login: login, Steps: steps, NoPing: true}
	}
	ask := func(payload, answer string) Step {
		return Step{Publish: request, Payload: payload, QoS: 1, Want: []string{"PUBACK", "PUBLISH /provision/response " + answer}}
	}
	subscribe := func(filter, want string) Step {
		return Step{Subscribe: []string{filter}, QoS: 1, Want: []string{want}}
	}
	token := `{"deviceName":"$d",` + keys + `,"credentialsType":"ACCESS_TOKEN","token":"$d-token","gateway":true}`
	byID := row("by the client identifier", only, subscribe("/provision/response", "SUBACK 1"))
	byID.Login = Login{ClientID: "provision", Want: []string{"CONNACK 0"}}
	return []Row{
		byID,
		row("by the user name", only, subscribe("/provision/response", "SUBACK 1")),
		row("another topic", only, Step{
			Publish: "v1/devices/me/telemetry", Payload: `{"a":1}`, QoS: 1, Want: []string{"PUBACK 144", "closed"},
		}),
		row("another packet", only, Step{Ping: true, Want: ends()}),
		row("unknown key", source, ask(
			`{"deviceName":"$d","provisionDeviceKey":"none-$d","provisionDeviceSecret":"none"}`, `{"errorMsg":"$any","status":"NOT_FOUND"}`)),
		row("request that is cut off", "MqttTransportHandler 669-676", Step{
			Publish: request, Payload: `{`, QoS: 1, Want: badInput(), Want3: ends(),
		}),
		with(NeedProvisioning, row("access token", source, subscribe("/provision/response", "SUBACK 1"), ask(
			token, `{"credentialsType":"ACCESS_TOKEN","credentialsValue":"$d-token","status":"SUCCESS"}`))),
		with(NeedProvisioning, row("token that the platform chooses", source, ask(
			`{"deviceName":"$d",`+keys+`}`, `{"credentialsType":"ACCESS_TOKEN","credentialsValue":"$any","status":"SUCCESS"}`))),
		with(NeedProvisioning, row("basic credentials", source, ask(
			`{"deviceName":"$d",`+keys+`,"credentialsType":"MQTT_BASIC","clientId":"$d-c","username":"$d-u","password":"p"}`,
			`{"credentialsType":"MQTT_BASIC","credentialsValue":{"clientId":"$d-c","userName":"$d-u","password":"p"},"status":"SUCCESS"}`))),
		with(NeedProvisioning, row("name that is taken", source,
			ask(token, `"$any"`), ask(token, `{"errorMsg":"$any","status":"FAILURE"}`))),
	}
}

// firmwareRows are requests for parts of a package.
func firmwareRows() []Row {
	const source = "MqttTransportHandler 691-694, 822-828"
	chunk := func(n, size, want string) Step {
		return Step{
			Publish: "v2/fw/request/1/chunk/" + n, Payload: size, QoS: 1,
			Want: []string{"PUBACK", "PUBLISH v2/fw/response/1/chunk/" + n + " " + want},
		}
	}
	return []Row{
		{Name: "firmware in chunks", Source: source, Needs: NeedFirmware, Steps: []Step{
			chunk("0", "10", "0123456789"), chunk("1", "", "abcdef"), chunk("2", "", ""),
		}},
		{Name: "firmware as a whole", Source: source, Needs: NeedFirmware, Steps: []Step{chunk("0", "", "0123456789abcdef")}},
		{Name: "firmware chunk over the maximum payload", Source: source, Steps: []Step{{
			Publish: "v2/fw/request/1/chunk/0", Payload: "70000", QoS: 1,
			Want: []string{"PUBLISH v2/fw/error PAYLOAD_TOO_LARGE", "closed"},
		}}},
	}
}

// protobufRows are messages of a gateway in protobuf, by transport.proto.
func protobufRows() []Row {
	const source = "transport.proto, queue.proto; AbstractGatewaySessionHandler"
	text := func(b []byte, n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
	}
	number := func(b []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
	}
	row := func(name, topic string, want, want3 []string, body func(device string) []byte) Row {
		return Row{
			Name: "protobuf: " + name, Source: source, Needs: NeedProtobuf,
			Steps: []Step{{Publish: topic, Body: body, QoS: 1, Want: want, Want3: want3}},
		}
	}
	telemetry := func(device string) []byte {
		kv := number(number(text(nil, 1, "a"), 2, 1), 4, 5)            // KeyValueProto
		list := text(number(nil, 1, 1_700_000_000_000), 2, string(kv)) // TsKvListProto
		post := text(nil, 1, string(list))                             // PostTelemetryMsg
		return text(nil, 1, string(text(text(nil, 1, device), 3, string(post))))
	}
	return []Row{
		row("connect", "v1/gateway/connect", stored(), nil, func(d string) []byte { return text(text(nil, 1, d), 2, "default") }),
		row("disconnect", "v1/gateway/disconnect", stored(), nil, func(d string) []byte { return text(nil, 1, d) }),
		row("telemetry", "v1/gateway/telemetry", stored(), nil, telemetry),
		row("telemetry that is cut off", "v1/gateway/telemetry", badInput(), ends(), func(d string) []byte { return telemetry(d)[:8] }),
		row("telemetry of no device", "v1/gateway/telemetry", badInput(), ends(), func(string) []byte { return nil }),
		row("reply to a call", "v1/gateway/rpc", stored(), nil, func(d string) []byte { return text(number(text(nil, 1, d), 2, 1), 3, `{}`) }),
	}
}
