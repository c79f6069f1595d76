package tbclient

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// maxQuarantine is the size in bytes at which a quarantine file is put aside,
// in place of the one that was put aside before.
const maxQuarantine = 10 << 20

// quarantine keeps data that the platform does not take outside of the store.
func (c *Client) quarantine(g telemetry.Group, reason error) {
	var lines []byte
	for i := range g.Telemetry {
		lines = appendQuarantined(lines, g.Device, "telemetry", &g.Telemetry[i], reason)
	}
	for i := range g.Attributes {
		lines = appendQuarantined(lines, g.Device, "attribute", &g.Attributes[i], reason)
	}
	n := len(g.Telemetry) + len(g.Attributes)
	c.count.quarantined.Add(uint64(n))
	if c.cfg.Quarantine == "" {
		c.log.Error("data that the platform does not take is dropped, there is no quarantine file", "data", string(lines))
		return
	}
	if err := appendFile(c.cfg.Quarantine, lines, maxQuarantine); err != nil {
		c.log.Error("data that the platform does not take is dropped, the quarantine file cannot be written", "error", err, "data", string(lines))
		return
	}
	if c.warned.quarantined.allow() {
		c.log.Warn("data that the platform does not take is quarantined", "device", g.Device.Name, "values", n,
			"reason", reason, "file", c.cfg.Quarantine, "total", c.count.quarantined.Load())
	}
}

func appendQuarantined(b []byte, d telemetry.Device, kind string, p *telemetry.Point, reason error) []byte {
	b = time.Now().UTC().AppendFormat(append(b, `{"time":"`...), time.RFC3339)
	b = telemetry.AppendString(append(b, `","device":`...), d.Name)
	if d.Profile != "" {
		b = telemetry.AppendString(append(b, `,"type":`...), d.Profile)
	}
	b = telemetry.AppendString(append(b, `,"kind":`...), kind)
	if kind == "telemetry" {
		b = strconv.AppendInt(append(b, `,"ts":`...), p.TS, 10)
	}
	b = telemetry.AppendString(append(b, `,"key":`...), p.Key)
	b = append(b, `,"value":`...)
	if p.Value.Valid() {
		b = p.Value.AppendJSON(b)
	} else {
		b = append(b, "null"...)
	}
	b = telemetry.AppendString(append(b, `,"reason":`...), reason.Error())
	return append(b, "}\n"...)
}

// appendFile appends data to the file at path, durably. A file that would get
// larger than limit is put aside first.
func appendFile(path string, data []byte, limit int64) (err error) {
	if info, statErr := os.Stat(path); statErr == nil && info.Size() > 0 && info.Size()+int64(len(data)) > limit {
		if err := os.Rename(path, path+".1"); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
