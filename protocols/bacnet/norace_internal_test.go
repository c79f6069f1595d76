//go:build !race

package bacnet

const raceDetector = false
