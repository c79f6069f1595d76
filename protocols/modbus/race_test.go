//go:build race

package modbus_test

const raceDetector = true
