package peer

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// BACnet configures simulated BACnet/IP devices on the loopback address.
type BACnet struct {
	First   uint32        // instance of the first device
	Devices int           // how many; each has a port of its own. Zero: one
	Objects int           // analog inputs of each
	Change  time.Duration // after which the values change, over and over; zero: never
}

// Start starts the devices, which end with the test, and returns their addresses. The
// test is skipped if Node.js or the package is not installed.
func (b BACnet) Start(tb testing.TB) []string {
	tb.Helper()
	dir := Node(tb, "@bacnet-js/client")
	devices := max(b.Devices, 1)
	port := freePorts(tb, devices)
	Start(tb, dir, "node", "bacsim.js", "127.0.0.1", strconv.Itoa(port), strconv.FormatUint(uint64(b.First), 10),
		strconv.Itoa(devices), strconv.Itoa(b.Objects), strconv.FormatInt(b.Change.Milliseconds(), 10))
	addrs := make([]string, devices)
	for i := range addrs {
		addrs[i] = "127.0.0.1:" + strconv.Itoa(port+i)
		answersWhoIs(tb, addrs[i])
	}
	return addrs
}

// freePorts returns the first of n UDP ports in a row that are free now.
func freePorts(tb testing.TB, n int) int {
	tb.Helper()
	for range 50 {
		first, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		_ = first.Close()
		free := port+n < 65536
		for i := 0; i < n && free; i++ {
			c, err := net.ListenPacket("udp4", "127.0.0.1:"+strconv.Itoa(port+i))
			if free = err == nil; free {
				_ = c.Close()
			}
		}
		if free {
			return port
		}
	}
	tb.Fatalf("there are no %d free ports in a row", n)
	return 0
}

// answersWhoIs waits until something answers a Who-Is.
func answersWhoIs(tb testing.TB, addr string) {
	tb.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	whoIs := []byte{0x81, 0x0a, 0x00, 0x08, 0x01, 0x00, 0x10, 0x08}
	buf := make([]byte, 1500)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if _, err := conn.WriteToUDPAddrPort(whoIs, netip.MustParseAddrPort(addr)); err != nil {
			tb.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, _, err := conn.ReadFromUDPAddrPort(buf); err == nil {
			return
		}
	}
	tb.Fatalf("nothing answers at %s", addr)
}
