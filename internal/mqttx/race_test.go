//go:build race

package mqttx_test

const raceEnabled = true
