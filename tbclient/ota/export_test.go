package ota

import "github.com/gridlinks/iot-gateway/telemetry"

// SetSpace replaces the measurement of free space.
func SetSpace(u *Updater, f func(folder string) (int64, bool)) { u.space = f }

// FreeSpace is the measurement that SetSpace replaces.
func FreeSpace(folder string) (int64, bool) { return freeSpace(folder) }

// Verify compares the checksum of a file of the given size.
func Verify(path, algorithm, sum string, size int64) error {
	return verify(path, identity{Size: size, Algorithm: algorithm, Checksum: sum})
}

// Announced parses attributes and reports what they announce.
func Announced(points []telemetry.Point, most int64) (size int64, url, algorithm, checksum string, problem error) {
	a := announced(Firmware, points, most)
	return a.Size, a.URL, a.Algorithm, a.Checksum, a.problem
}

// KnownAlgorithm reports whether a checksum algorithm is known.
func KnownAlgorithm(name string) bool { return digests(name) != nil }
