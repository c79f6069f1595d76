package mqtt

import (
	"errors"
	"sync/atomic"

	"github.com/gridlinks/iot-gateway/internal/lane"
)

// maxJobs bounds the requests of devices that wait for the platform.
const maxJobs = 1000

var errBusy = errors.New("mqtt: too many requests are under way")

// jobs carries out requests of devices beside the flow of data: in order for each
// device, and concurrently for different ones.
type jobs struct {
	lanes  lane.Lanes
	active atomic.Int64
}

func (j *jobs) do(device string, job func()) error {
	if j.active.Add(1) > maxJobs {
		j.active.Add(-1)
		return errBusy
	}
	err := j.lanes.Go(device, func() {
		defer j.active.Add(-1)
		job()
	})
	if err != nil {
		j.active.Add(-1)
	}
	return err
}

func (j *jobs) wait() { j.lanes.Wait() }
