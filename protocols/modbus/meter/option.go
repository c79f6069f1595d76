package meter

import (
	"fmt"
	"slices"
	"time"
)

// An Option adapts a meter.
type Option func(*options)

type options struct {
	groups    []Group // nil: measurement and energy
	periods   map[Group]time.Duration
	fromMeter bool
	pt, ct    float64
	arrays    bool
	writable  bool
}

func newOptions(list []Option) options {
	o := options{periods: make(map[Group]time.Duration), pt: 1, ct: 1}
	for _, opt := range list {
		opt(&o)
	}
	if o.groups == nil {
		o.groups = []Group{Measurement, Energy}
	}
	return o
}

// Groups says what is read, instead of Measurement and Energy.
func Groups(groups ...Group) Option {
	return func(o *options) { o.groups = groups }
}

// Every reads a group at a period of its own. It does not add the group.
func Every(g Group, period time.Duration) Option {
	return func(o *options) { o.periods[g] = period }
}

// Ratios multiplies secondary values by the given ratios of the voltage and current
// transformers.
func Ratios(pt, ct float64) Option {
	return func(o *options) { o.pt, o.ct, o.fromMeter = pt, ct, false }
}

// RatiosFromMeter multiplies secondary values by the ratios that the meter is set
// to. Values are reported once the ratios were read.
func RatiosFromMeter() Option {
	return func(o *options) { o.pt, o.ct, o.fromMeter = 1, 1, true }
}

// Arrays reports a run of values, such as the harmonics of a voltage, as one array
// instead of as a key for each. It takes effect in a connector by [New] or [Type].
func Arrays() Option {
	return func(o *options) { o.arrays = true }
}

// WritableSettings lets remote procedures and shared attributes change the settings
// of the meter, among them its address and thresholds, if the group Settings is read.
func WritableSettings() Option {
	return func(o *options) { o.writable = true }
}

// check reports what is wrong with o for p.
func (o *options) check(p *Profile) error {
	for _, g := range o.groups {
		if !slices.Contains(AllGroups(), g) {
			return fmt.Errorf("meter: no group %q; there are %v", g, AllGroups())
		}
	}
	for g, period := range o.periods {
		if !slices.Contains(o.groups, g) {
			return fmt.Errorf("meter: a period is given for group %q, which is not read", g)
		}
		if period <= 0 {
			return fmt.Errorf("meter: the period of group %q is not positive", g)
		}
	}
	if !(o.pt > 0 && o.ct > 0) {
		return fmt.Errorf("meter: ratios %v and %v are not positive", o.pt, o.ct)
	}
	if o.fromMeter && p.point("ct_ratio") == nil {
		return fmt.Errorf("meter: profile %s has no ratios to read from the meter", p.ID)
	}
	return nil
}
