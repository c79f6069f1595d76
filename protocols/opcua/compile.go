package opcua

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A plan is a checked Config, ready to run.
type plan struct {
	cfg      Config
	mappings []*mapping
}

// A mapping is a compiled Mapping.
type mapping struct {
	node    address
	name    template
	profile template
	items   []*itemPlan
	updates map[string]address
	methods map[string]*Method
	text    string // of node
}

// An itemPlan is a compiled Item.
type itemPlan struct {
	Item
	node      address
	attribute bool
	report    *telemetry.ReportPolicy
}

// compile checks cfg. The error names everything that is wrong with it.
func compile(cfg Config) (*plan, error) {
	p := &plan{cfg: cfg}
	errs := []error{cfg.validate()}
	for i, m := range cfg.Mappings {
		compiled, err := newMapping(m)
		if err != nil {
			for _, e := range split(err) {
				errs = append(errs, fmt.Errorf("mapping[%d]: %w", i, e))
			}
			continue
		}
		p.mappings = append(p.mappings, compiled)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// split returns the errors that errors.Join joined, also within each other.
func split(err error) (list []error) {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range j.Unwrap() {
		list = append(list, split(e)...)
	}
	return list
}

func newMapping(m Mapping) (*mapping, error) {
	c := &mapping{updates: make(map[string]address), methods: make(map[string]*Method), text: m.Node}
	var errs []error
	wrong := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	var err error
	c.node, err = parsePattern(m.Node)
	wrong("node", err)
	if m.DeviceName == "" {
		wrong("deviceName", errors.New("is missing"))
	}
	c.name, err = parseTemplate(m.DeviceName)
	wrong("deviceName", err)
	if m.Profile == "" {
		m.Profile = "default"
	}
	c.profile, err = parseTemplate(m.Profile)
	wrong("profile", err)
	for i, it := range m.Telemetry {
		wrong(fmt.Sprintf("telemetry[%d]", i), c.item(it, false, m.Report))
	}
	for i, it := range m.Attributes {
		wrong(fmt.Sprintf("attributes[%d]", i), c.item(it, true, m.Report))
	}
	for i, u := range m.Updates {
		a, err := parseAddress(u.Node)
		if err == nil && u.Key == "" {
			err = errors.New("key: is missing")
		}
		wrong(fmt.Sprintf("updates[%d]", i), err)
		c.updates[u.Key] = a
	}
	for i, method := range m.Methods {
		if strings.TrimSpace(method.Name) == "" {
			wrong(fmt.Sprintf("methods[%d]", i), errors.New("name: is missing"))
		}
		c.methods[method.Name] = &method
	}
	return c, errors.Join(errs...)
}

func (m *mapping) item(it Item, attribute bool, report *telemetry.ReportPolicy) error {
	p := &itemPlan{Item: it, attribute: attribute, report: it.Report}
	if p.report == nil {
		p.report = report
	}
	if it.Key == "" {
		return errors.New("key: is missing")
	}
	if !it.constant {
		var err error
		if p.node, err = parseAddress(it.Node); err != nil {
			return fmt.Errorf("%s: node %q %w", it.Key, it.Node, err)
		}
	}
	if it.Deadband < 0 || it.Sampling < 0 || it.QueueSize < 0 {
		return fmt.Errorf("%s: deadband, sampling or queueSize is negative", it.Key)
	}
	m.items = append(m.items, p)
	return nil
}
