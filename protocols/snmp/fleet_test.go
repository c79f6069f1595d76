package snmp_test

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/protocols/snmp"
)

// fleet starts n agents, every other of which is silent, and their devices.
func fleet(t *testing.T, n int, host func(i int) string) (agents []*agent, devices []snmp.Device) {
	t.Helper()
	for i := range n {
		a := listen(t, host(i))
		a.set(t, base+"1.0", fmt.Sprint("INTEGER ", i))
		a.do(func() { a.silent = i%2 == 1 })
		agents = append(agents, a)
		d := device(a, get("k", base+"1.0"))
		d.Name = fmt.Sprint("d", i)
		devices = append(devices, d)
	}
	return agents, devices
}

func TestSilentDevicesHoldUpNobody(t *testing.T) {
	agents, devices := fleet(t, 20, func(int) string { return "127.0.0.1" })
	for i := range devices {
		devices[i].Timeout = time.Hour // a device that waited for a silent one would never be polled
	}
	h, _ := run(t, snmp.New(snmp.Config{Devices: devices}))
	for i, a := range agents {
		if i%2 == 0 {
			h.Eventually(t, "ten polls", func() bool { return len(a.log()) >= 10 })
			h.wants(t, devices[i].Name, "k", strconv.Itoa(i))
		}
	}
	for i, a := range agents {
		if i%2 == 1 {
			require.Len(t, a.log(), 1, "the request that is still waited for")
		}
	}
}

// TestFleet polls as many agents as SNMP_FLEET says, each on a loopback address of
// its own, once a second for half a minute. It says how late requests came at the
// agents, beyond the earliest of the same agent.
func TestFleet(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("SNMP_FLEET"))
	if n == 0 || runtime.GOOS != "linux" {
		t.Skip("SNMP_FLEET does not say how many agents to poll")
	}
	const period, length = time.Second, 30 * time.Second
	agents, devices := fleet(t, n, func(i int) string { return fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250) })
	for i := range devices {
		devices[i].Poll, devices[i].Timeout = period, 2*time.Second
	}
	h, stop := run(t, snmp.New(snmp.Config{Devices: devices}))
	time.Sleep(length)
	stop()
	var late []time.Duration
	polls, lost := 0, 0
	for i, a := range agents {
		if i%2 == 1 {
			continue
		}
		l, gone := lateness(a.log(), period)
		late = append(late, l...)
		polls, lost = polls+len(a.log()), lost+gone
		require.GreaterOrEqual(t, len(a.log())+gone, int(length/period)-6, devices[i].Name) // starts are spread over five seconds
	}
	slices.Sort(late)
	at := func(q float64) time.Duration { return late[int(q*float64(len(late)-1))].Round(10 * time.Microsecond) }
	t.Logf("%d devices, half of them silent: %d polls of the others, %d periods lost, late by p50 %v, p99 %v, at most %v; %d readings, %d devices offline",
		n, polls, lost, at(0.5), at(0.99), at(1), len(h.Readings(false)), h.log.count("device does not answer"))
	require.Zero(t, lost)
}

// lateness returns how late each request came on the grid of the period, beyond the
// one that was earliest, and how many points of the grid had no request.
func lateness(log []request, period time.Duration) (late []time.Duration, lost int) {
	earliest := time.Duration(math.MaxInt64)
	last := 0
	for _, r := range log {
		since := r.at.Sub(log[0].at)
		place := int(math.Round(float64(since) / float64(period)))
		off := since - time.Duration(place)*period
		earliest = min(earliest, off)
		late = append(late, off)
		last = place
	}
	for i := range late {
		late[i] -= earliest
	}
	return late, last - (len(log) - 1)
}
