package table

func connectRows() []Row {
	const source = "MqttTransportHandler 1065-1068, 1153, 1346-1395; ReturnCodeResolver"
	ok := []string{"CONNACK 0"}
	return []Row{
		{Name: "CONNECT with the access token", Source: source, Login: Login{Want: ok}},
		{
			Name: "CONNECT that asks for no clean session is told of one", Source: source,
			Login: Login{KeepSession: true, Want: []string{"CONNACK 0 session"}},
		},
		{
			Name: "CONNECT with an unknown access token", Source: source,
			Login: Login{Username: "$d", Want: []string{"CONNACK 134|135", "closed"}, Want3: []string{"CONNACK 5", "closed"}},
		},
		{
			Name: "CONNECT with an unknown user name and password", Source: source,
			Login: Login{
				Username: "$d", Password: "wrong", ClientID: "$d",
				Want: []string{"CONNACK 134|135", "closed"}, Want3: []string{"CONNACK 5", "closed"},
			},
		},
		{
			Name: "CONNECT with a client identifier only", Source: source,
			Login: Login{ClientID: "$d", Want: []string{"CONNACK 133", "closed"}, Want3: []string{"CONNACK 2", "closed"}},
		},
		{
			Name: "CONNECT while the back end fails", Source: source, Needs: NeedAuthFailure,
			Login: Login{Want: []string{"CONNACK 136", "closed"}, Want3: []string{"CONNACK 3", "closed"}},
		},
		{
			Name: "CONNECT over the limit of connections", Source: source, Needs: NeedConnectLimit,
			Login: Login{Want: []string{"CONNACK 159", "closed"}, Want3: []string{"CONNACK 3", "closed"}},
		},
		{
			Name: "PINGREQ", Source: "MqttTransportHandler 375-405",
			Steps: []Step{{Ping: true, Want: []string{"PINGRESP"}}},
		},
		{
			Name: "QoS 2 is not carried out", Source: "MqttTransportHandler 375-405", NoPing: true,
			Steps: []Step{{Publish: "v1/devices/me/telemetry", Payload: `{"a":1}`, QoS: 2, Want: []string{"no PUBREC"}}},
		},
		{
			Name: "packet of more than 65,536 bytes", Source: "thingsboard.yml NETTY_MAX_PAYLOAD_SIZE; MqttTransportHandler 205-212",
			Steps: []Step{{
				Publish: "v1/gateway/telemetry", Payload: `{"$d":[{"ts":1,"values":{"a":"$huge"}}]}`, QoS: 1,
				Want: []string{"DISCONNECT 129", "closed"},
			}},
		},
		{
			Name: "unknown topic", Source: "MqttTransportHandler 457",
			Steps: []Step{{Publish: "some/topic", Payload: `{}`, QoS: 1, Want: []string{"PUBACK 144"}}},
		},
	}
}

func subscribeRows() []Row {
	const source = "MqttTransportHandler 838-930"
	granted := []string{
		"v1/devices/me/rpc/request/+", "v1/devices/me/rpc/response/+", "v1/devices/me/attributes",
		"v1/devices/me/attributes/response/+", "v1/gateway/attributes", "v1/gateway/attributes/response", "v1/gateway/rpc",
		"v2/fw/response/+/chunk/+", "v2/fw/error", "v2/sw/response/+/chunk/+", "v2/sw/error",
		"v2/a", "v2/a/res/+", "v2/r/req/+", "v2/r/res/+",
	}
	rows := []Row{
		{
			Name: "SUBSCRIBE grants QoS 1 at most", Source: source,
			Steps: []Step{{Subscribe: []string{"v1/gateway/rpc"}, QoS: 2, Want: []string{"SUBACK 1"}}},
		},
		{
			Name: "SUBSCRIBE grants QoS 0", Source: source,
			Steps: []Step{{Subscribe: []string{"v1/gateway/rpc"}, QoS: 0, Want: []string{"SUBACK 0"}}},
		},
		{
			Name: "SUBSCRIBE grants and refuses filter by filter", Source: source,
			Steps: []Step{{
				Subscribe: []string{"v1/gateway/rpc", "v1/gateway/+", "v1/gateway/attributes"}, QoS: 1,
				Want: []string{"SUBACK 1 143 1"},
			}},
		},
		{
			Name: "UNSUBSCRIBE", Source: source,
			Steps: []Step{
				{Subscribe: []string{"v1/gateway/rpc"}, QoS: 1, Want: []string{"SUBACK 1"}},
				{Leave: []string{"v1/gateway/rpc"}, Want: []string{"UNSUBACK"}},
			},
		},
	}
	for _, f := range granted {
		rows = append(rows, Row{
			Name: "SUBSCRIBE " + f, Source: source,
			Steps: []Step{{Subscribe: []string{f}, QoS: 1, Want: []string{"SUBACK 1"}}},
		})
	}
	for _, f := range []string{"#", "v1/gateway/#", "v1/gateway/disconnect", "v1/devices/me/rpc/request/1", "some/topic"} {
		rows = append(rows, Row{
			Name: "SUBSCRIBE " + f + " is refused", Source: source,
			Steps: []Step{{Subscribe: []string{f}, QoS: 1, Want: []string{"SUBACK 143"}}},
		})
	}
	return rows
}
