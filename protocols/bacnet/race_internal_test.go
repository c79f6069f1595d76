//go:build race

package bacnet

const raceDetector = true
