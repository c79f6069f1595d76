// Package tbmetrics has the metrics of the client of ThingsBoard. It is apart
// from the monitor, so that a gateway with another platform links no client.
package tbmetrics

import (
	"github.com/gridlinks/iot-gateway/gateway/monitor"
	"github.com/gridlinks/iot-gateway/tbclient"
)

// Client returns the collector of the metrics of a client, whose Stats it is
// given. A client that takes the place of another begins at zero.
func Client(stats func() tbclient.Stats) monitor.Collector {
	return monitor.CollectorFunc(func(m *monitor.Metrics) {
		s := stats()
		for _, c := range []struct {
			name, help string
			value      uint64
		}{
			{"gateway_platform_connections_total", "Connections to the platform that were made.", s.Connects},
			{"gateway_platform_publications_total", "Publications of telemetry and attributes.", s.Packets},
			{"gateway_platform_published_bytes_total", "Payload of the publications.", s.Bytes},
			{"gateway_platform_acknowledgements_total", "Publications that the platform has acknowledged.", s.Acks},
			{"gateway_platform_failed_publications_total", "Publications that were under way when their connection ended, and are made again.", s.Failed},
			{"gateway_platform_skipped_values_total", "Values without a device or that cannot be sent, which were left out.", s.Skipped},
			{"gateway_platform_oversize_values_total", "Values too large for any message, which were left out.", s.Oversize},
			{"gateway_platform_quarantined_values_total", "Values that the platform does not take.", s.Quarantined},
			{"gateway_platform_calls_total", "Remote procedure calls that came.", s.Calls},
			{"gateway_platform_busy_calls_total", "Calls that were refused because too many were waiting.", s.Busy},
			{"gateway_platform_lost_replies_total", "Replies that could not be sent in time.", s.Lost},
			{"gateway_platform_updates_total", "Attribute updates that came.", s.Updates},
			{"gateway_platform_malformed_messages_total", "Messages of the platform that make no sense.", s.Malformed},
		} {
			m.Counter(c.name, c.help, float64(c.value))
		}
	})
}
