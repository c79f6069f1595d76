//go:build race

package poll_test

const raceDetector = true
