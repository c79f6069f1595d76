//go:build race

package filestore_test

// raceDetector says that memory and time are not those of the product.
const raceDetector = true
