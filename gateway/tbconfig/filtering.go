package tbconfig

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/gridlinks/iot-gateway/gateway"
)

// filterFile is the file of the device filter if the section does not say.
const filterFile = "list.json"

// filter reads the device filter. It returns nil if there is none.
func (f *Filtering) filter(dir string) (*gateway.DeviceFilter, error) {
	if !f.Enable {
		return nil, nil //nolint:nilnil // no filter is no error
	}
	name := f.File
	if name == "" {
		name = filterFile
	}
	path := resolve(dir, name)
	raw, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("thingsboard.deviceFiltering.filterFile: %w", err)
	}
	var filter gateway.DeviceFilter
	if err := decode(path, raw, &filter); err != nil {
		return nil, fmt.Errorf("thingsboard.deviceFiltering.filterFile: %w", err)
	}
	for _, lists := range []map[string][]string{filter.Allow, filter.Deny} {
		for name, patterns := range lists {
			for _, p := range patterns {
				if _, err := regexp.Compile(p); err != nil {
					return nil, fmt.Errorf("thingsboard.deviceFiltering.filterFile: %s: connector %q: %w", path, name, err)
				}
			}
		}
	}
	return &filter, nil
}

// fixed returns the settings that count when the gateway starts, as text. The
// content of the filter's file is one.
func (f *File) fixed(dir string) map[string]string {
	tb := &f.ThingsBoard
	text := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	filter, err := tb.Filtering.filter(dir)
	if err != nil {
		return map[string]string{"thingsboard.deviceFiltering": err.Error()}
	}
	return map[string]string{
		"thingsboard.deviceFiltering":        text(filter),
		"thingsboard.checkingDeviceActivity": text(tb.Activity),
		"thingsboard.latencyDebugMode":       text(tb.Latency),
	}
}
