//go:build !linux

package filestore_test

func withSmallFiles(string) error { return nil }
