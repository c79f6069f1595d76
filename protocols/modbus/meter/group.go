package meter

// A Group is a set of points that one wants or does not.
type Group string

// The groups.
const (
	Measurement Group = "measurement" // voltages, currents, powers, power factors, frequency
	Energy      Group = "energy"
	Tariff      Group = "tariff" // energy by tariff
	Demand      Group = "demand"
	Harmonics   Group = "harmonics" // also total harmonic distortion
	Status      Group = "status"    // inputs, outputs, alarms, temperatures, residual current, unbalance, angles
	Settings    Group = "settings"  // settings of the meter, among them its clock

	ratioGroup Group = "ratio" // always read, as attributes
)

// AllGroups returns every group.
func AllGroups() []Group {
	return []Group{Measurement, Energy, Tariff, Demand, Harmonics, Status, Settings}
}
