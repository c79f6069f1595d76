//go:build !race

package mqttx_test

const raceEnabled = false
