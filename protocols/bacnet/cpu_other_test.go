//go:build !unix

package bacnet_test

import "time"

// processCPU returns zero: it is not measured here.
func processCPU() time.Duration { return 0 }
