package statistics

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// A sample is all counters at one moment.
type sample struct {
	at       time.Time
	gateway  gateway.Stats
	platform Platform
	errors   map[string]uint64
	cpu      cpuTimes // zero: not known
}

func (c *Collector) sample() sample {
	s := sample{at: time.Now(), gateway: c.cfg.Gateway(), cpu: c.machine.cpu()}
	if c.cfg.Platform != nil {
		s.platform = c.cfg.Platform()
	}
	if c.cfg.Errors != nil {
		s.errors = c.cfg.Errors()
	}
	return s
}

// since returns how much a counter has grown. One that is smaller than before has
// begun anew, such as that of a connector that was replaced.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// machineStats has the keys of the Python gateway; a nil one is absent.
type machineStats struct {
	CPU       *float64     `json:"totalCpuUsage,omitempty"`
	DiskUsage *float64     `json:"diskUsage,omitempty"`
	Memory    *float64     `json:"freeMemory,omitempty"` // the share that is used
	Available *uint64      `json:"availableMemory,omitempty"`
	FreeDisk  string       `json:"freeDisk,omitempty"`
	OwnCPU    *float64     `json:"gwProcessCpuUsage,omitempty"`
	OwnMemory *float64     `json:"gwMemory,omitempty"`
	Own       *processInfo `json:"gwProcessMemoryFullInfo,omitempty"`
	Sent      *uint64      `json:"msgsSentToPlatform,omitempty"`
	Received  *uint64      `json:"msgsReceivedFromPlatform,omitempty"`
}

// processInfo is the memory of the process in bytes.
type processInfo struct {
	RSS    uint64  `json:"rss"`
	VMS    uint64  `json:"vms"`
	Shared uint64  `json:"shared"`
	Text   uint64  `json:"text"`
	Data   uint64  `json:"data"`
	USS    *uint64 `json:"uss,omitempty"`
	PSS    *uint64 `json:"pss,omitempty"`
	Swap   *uint64 `json:"swap,omitempty"`
}

type serviceStats struct {
	Pulled    uint64  `json:"storageMsgPulled"`
	Stored    uint64  `json:"storageMsgCount"`
	Published *uint64 `json:"platformMsgPushed,omitempty"`
	Attrs     uint64  `json:"platformAttrProduced"`
	Points    uint64  `json:"platformTsProduced"`
}

type connectorStats struct {
	Received uint64 `json:"connectorMsgsReceived"`
	Bytes    uint64 `json:"connectorBytesReceived"` // as stored
	Pushed   uint64 `json:"storageMsgPushed"`
	Errors   uint64 `json:"connectorsErrors,omitempty"`
}

type converterStats struct {
	Processed uint64 `json:"convertersMsgProcessed"`
	Points    uint64 `json:"convertersTsProduced"`
	Attrs     uint64 `json:"convertersAttrProduced"`
	Dropped   uint64 `json:"convertersMsgDropped"`
}

// points returns the message that says what has happened since the last one.
func (c *Collector) points(now sample) ([]telemetry.Point, error) {
	sections := []struct {
		key string
		doc any
	}{
		{"machineStats", c.machineStats(now)},
		{"serviceStats", c.serviceStats(now)},
		{"connectorsStats", c.connectorsStats(now)},
	}
	points := make([]telemetry.Point, 0, len(sections))
	for _, s := range sections {
		doc, err := json.Marshal(s.doc)
		if err != nil {
			return nil, fmt.Errorf("statistics: %s: %w", s.key, err)
		}
		v, err := telemetry.JSON(doc)
		if err != nil {
			return nil, fmt.Errorf("statistics: %s: %w", s.key, err)
		}
		points = append(points, telemetry.Point{Key: s.key, Value: v, TS: now.at.UnixMilli()})
	}
	return points, nil
}

func (c *Collector) machineStats(now sample) machineStats {
	var m machineStats
	if c.cfg.Platform != nil {
		m.Sent = new(uint64)
		*m.Sent = since(now.platform.Sent, c.last.platform.Sent)
		m.Received = new(uint64)
		*m.Received = since(now.platform.Received, c.last.platform.Received)
	}
	if d, ok := c.machine.disk(); ok {
		m.DiskUsage, m.FreeDisk = percent(float64(d.used), float64(d.used+d.free)), human(d.free)
	}
	mem, known := c.machine.memory()
	if known {
		m.Memory, m.Available = percent(float64(mem.total-mem.available), float64(mem.total)), &mem.available
	}
	if own, ok := c.machine.process(); ok {
		m.Own = &own
		if known {
			m.OwnMemory = percent(float64(own.RSS), float64(mem.total))
		}
	}
	if before := c.last.cpu; before.total > 0 && now.cpu.total > before.total {
		all := now.cpu.total - before.total
		m.CPU = percent(all-(now.cpu.idle-before.idle), all)
		m.OwnCPU = percent(now.cpu.own-before.own, now.at.Sub(c.last.at).Seconds())
	}
	return m
}

func (c *Collector) serviceStats(now sample) serviceStats {
	s, before := now.gateway.Store, c.last.gateway.Store
	gone := since(s.Appended, before.Appended) + before.Pending
	left := s.Pending + since(s.Dropped, before.Dropped)
	m := serviceStats{Stored: s.Pending, Attrs: since(now.gateway.Attributes, c.last.gateway.Attributes)}
	m.Points = since(now.gateway.Published-now.gateway.Attributes, c.last.gateway.Published-c.last.gateway.Attributes)
	if gone > left {
		m.Pulled = gone - left
	}
	if c.cfg.Platform != nil {
		m.Published = new(uint64)
		*m.Published = since(now.platform.Sent, c.last.platform.Sent)
	}
	return m
}

// connectorsStats returns an object for each connector, and one for what converts
// its data.
func (c *Collector) connectorsStats(now sample) map[string]any {
	all := make(map[string]any, 2*len(now.gateway.Connectors))
	for name, s := range now.gateway.Connectors {
		before := c.last.gateway.Connectors[name]
		received := since(s.Received, before.Received)
		all[name] = connectorStats{
			Received: received,
			Bytes:    since(s.Bytes, before.Bytes),
			Pushed:   since(s.Records, before.Records),
			Errors:   since(now.errors[name], c.last.errors[name]),
		}
		all[name+"_converter"] = converterStats{
			Processed: received,
			Points:    since(s.Telemetry, before.Telemetry),
			Attrs:     since(s.Attributes, before.Attributes),
			Dropped:   since(s.Invalid, before.Invalid),
		}
	}
	return all
}

// attributes returns what does not change while the gateway runs.
func (c *Collector) attributes() []telemetry.Point {
	points := []telemetry.Point{{Key: "cpuCount", Value: telemetry.Int(int64(runtime.NumCPU()))}}
	if m, ok := c.machine.memory(); ok {
		points = append(points, telemetry.Point{Key: "totalMemory", Value: telemetry.String(human(m.total))})
	}
	if d, ok := c.machine.disk(); ok {
		points = append(points, telemetry.Point{Key: "totalDisk", Value: telemetry.String(human(d.total))})
	}
	return points
}

// percent returns part of whole in percent with one decimal, or nil if there is
// no whole.
func percent(part, whole float64) *float64 {
	if whole <= 0 {
		return nil
	}
	p := math.Round(part/whole*1000) / 10
	return &p
}

// human returns a size as the Python gateway writes it, with powers of 1024.
func human(n uint64) string {
	const units = "BKMGTPE"
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	return fmt.Sprintf("%.1f%c", f, units[i])
}
