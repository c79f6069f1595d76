package tbconfig

import (
	"cmp"
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

// filterProblem is what the problem of a device filter is told under.
const filterProblem = "deviceFiltering"

// setFilter brings the device filter of the section, or of its file, into effect
// if it is another one. If it cannot be read that of before stays. s.mu is held.
func (s *Service) setFilter() {
	next, err := s.file.ThingsBoard.Filtering.filter(s.dir)
	if err == nil && filterText(next) != filterText(s.filter) {
		if err = s.manager.SetDeviceFilter(*cmp.Or(next, new(gateway.DeviceFilter))); err == nil {
			s.filter = next
			s.log.Info("device filter is in effect", "enabled", next != nil)
		}
	}
	s.report(filterProblem, err)
}

// filterText tells filters apart.
func filterText(f *gateway.DeviceFilter) string {
	raw, err := json.Marshal(f)
	if err != nil { // lists of texts have none
		return ""
	}
	return string(raw)
}
