package monitor

import (
	"cmp"
	"maps"
	"runtime"
	"slices"

	"github.com/gridlinks/iot-gateway/gateway"
)

func (m *Monitor) build(all *Metrics) {
	all.Gauge("gateway_build_info", "Always 1; the labels say what runs.", 1, "version", m.cfg.Version, "go_version", runtime.Version())
	all.Gauge("gateway_start_time_seconds", "When the monitor was started, in seconds since 1970.", float64(m.began.UnixMilli())/1000)
}

// gateway adds the metrics of the gateway, its store and its connectors.
func (m *Monitor) gateway(all *Metrics) {
	s := m.cfg.Gateway()
	all.Counter("gateway_published_points_total", "Points that the platform has accepted.", float64(s.Published))
	all.Counter("gateway_published_attributes_total", "Attributes among the points that the platform has accepted.", float64(s.Attributes))
	all.Counter("gateway_discarded_records_total", "Stored records that could not be published and were passed over.", float64(s.Discarded))
	all.Gauge("gateway_store_records", "Records in the store that the platform has not accepted yet.", float64(s.Store.Pending))
	all.Gauge("gateway_store_bytes", "Size of the records in the store, which a store may estimate.", float64(s.Store.Bytes))
	all.Counter("gateway_store_appended_records_total", "Records that were stored.", float64(s.Store.Appended))
	all.Counter("gateway_store_dropped_records_total", "Records that were lost to the size limit, the age limit or damage.", float64(s.Store.Dropped))
	all.Counter("gateway_store_syncs_total", "Times that data was forced to the medium.", float64(s.Store.Syncs))
	if m.cfg.StoreFailure != nil {
		all.Gauge("gateway_store_failing", "1 while the store cannot be written.", number(m.cfg.StoreFailure() != nil))
	}
	if m.cfg.Connected != nil {
		all.Gauge("gateway_platform_connected", "1 while the platform is connected.", number(m.cfg.Connected()))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Connectors)) {
		connectorMetrics(all, name, s.Connectors[name])
	}
}

func connectorMetrics(all *Metrics, name string, c gateway.ConnectorStats) {
	for _, state := range []gateway.State{gateway.Stopped, gateway.Starting, gateway.Running, gateway.Backoff, gateway.Failed} {
		all.Gauge("gateway_connector_state", "1 for the state that the connector is in, 0 for the others.",
			number(c.State == state), "connector", name, "type", c.Type, "state", state.String())
	}
	if c.Health != nil {
		all.Gauge("gateway_connector_healthy", "1 while the connector finds itself healthy.", number(c.Health.OK), "connector", name)
	}
	all.Counter("gateway_connector_restarts_total", "Times that the connector was started again after it failed.", float64(c.Restarts), "connector", name)
	all.Counter("gateway_connector_batches_total", "Batches that the connector has submitted.", float64(c.Received), "connector", name)
	all.Counter("gateway_connector_records_total", "Batches that were stored.", float64(c.Records), "connector", name)
	const help = "Points by what became of them: stored, filtered (held back by the report policy), invalid (they cannot be sent) or denied (of devices that the device filter refuses)."
	all.Counter("gateway_connector_points_total", help, float64(c.Stored), "connector", name, "result", "stored")
	all.Counter("gateway_connector_points_total", help, float64(c.Filtered), "connector", name, "result", "filtered")
	all.Counter("gateway_connector_points_total", help, float64(c.Invalid), "connector", name, "result", "invalid")
	all.Counter("gateway_connector_points_total", help, float64(c.Denied), "connector", name, "result", "denied")
	const submitted = "Points that the connector has submitted, by kind."
	all.Counter("gateway_connector_submitted_points_total", submitted, float64(c.Telemetry), "connector", name, "kind", "telemetry")
	all.Counter("gateway_connector_submitted_points_total", submitted, float64(c.Attributes), "connector", name, "kind", "attribute")
	all.Counter("gateway_connector_record_bytes_total", "Size of the batches that were stored, as they are encoded.", float64(c.Bytes), "connector", name)
}

// devices adds the metrics of devices.
func (m *Monitor) devices(all *Metrics) {
	if m.cfg.Devices == nil {
		return
	}
	devices := m.cfg.Devices()
	all.Gauge("gateway_devices", "Devices that are known.", float64(len(devices)))
	slices.SortFunc(devices, func(a, b gateway.DeviceInfo) int { return cmp.Compare(a.Name, b.Name) })
	for _, d := range devices[:min(len(devices), m.cfg.DeviceLimit)] {
		labels := []string{"device", d.Name, "connector", d.Connector}
		all.Gauge("gateway_device_online", "1 while the platform is told that the device is connected.", number(d.Online), labels...)
		if !d.LastData.IsZero() {
			all.Gauge("gateway_device_last_data_time_seconds", "When data of the device came last, in seconds since 1970.", float64(d.LastData.UnixMilli())/1000, labels...)
		}
		all.Counter("gateway_device_batches_total", "Batches with data of the device.", float64(d.Messages), labels...)
		all.Counter("gateway_device_points_total", "Points of the device, before the report policy.", float64(d.Points), labels...)
		all.Counter("gateway_device_calls_total", "Remote procedure calls to the device.", float64(d.RPCs), labels...)
		all.Counter("gateway_device_updates_total", "Attribute updates of the device.", float64(d.AttributeUpdates), labels...)
	}
}

// errors adds the counts of errors.
func (m *Monitor) errors(all *Metrics) {
	if m.cfg.Errors == nil {
		return
	}
	counts := m.cfg.Errors()
	for _, source := range slices.Sorted(maps.Keys(counts)) {
		all.Counter("gateway_log_errors_total", "Errors that were logged, by the connector or the part of the gateway.", float64(counts[source]), "source", source)
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
