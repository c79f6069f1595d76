// Package monitor shows how a gateway fares over HTTP: metrics in the text format
// of Prometheus, and whether it is healthy, ready and alive.
//
//	m := monitor.New(monitor.Config{Gateway: g.Stats, Collectors: []monitor.Collector{tbmetrics.Client(client.Stats)}})
//	go monitor.Serve(ctx, listener, m)
//
// The paths are /metrics, /healthz, /readyz, /livez and, if Config.Profiling is
// set, /debug/pprof/. There is no access control: listen on the loopback address,
// or put something in front.
//
// # What the answers mean
//
// /healthz asks whether somebody should look. It is 200 while no connector has
// failed for good and the store works, and 503 otherwise, with the reasons.
//
// /readyz asks whether data can be given to the gateway. It is 200 while the store
// works and Config.Ready has no objection. That the platform is away is no reason
// to say no, since data is stored meanwhile; Config.NeedPlatform makes it one.
//
// /livez asks whether the process should be restarted. It is 200 while the state
// of gateway and store can be read within Config.Patience. Neither the platform
// nor a field device that is away is a reason to restart.
//
// # Cost
//
// Nothing happens unless somebody asks. A scrape costs what is there: a dozen
// metrics for a connector, and none for a device unless Config.Devices is set,
// and then for Config.DeviceLimit devices at most.
package monitor
