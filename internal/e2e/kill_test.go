package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/internal/mqttx"
	"github.com/gridlinks/iot-gateway/internal/peer"
)

// The full proof is -e2e.messages 20000 -e2e.for 60s -e2e.kills 5 -e2e.outage 20s.
var (
	messages = flag.Int("e2e.messages", 3000, "messages to send")
	duration = flag.Duration("e2e.for", 12*time.Second, "time to send them in")
	kills    = flag.Int("e2e.kills", 3, "times that the gateway is killed")
	outage   = flag.Duration("e2e.outage", 3*time.Second, "time that the platform is away")
)

const devices = 100

// build builds the gateway of examples/configfile.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "gateway")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../examples/configfile").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

// configure writes the gateway's files.
func configure(t *testing.T, platform, field string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("tb_gateway.json", fmt.Sprintf(`{
		"thingsboard": {"host": "127.0.0.1", "port": %s, "security": {"type": "accessToken", "accessToken": "token"}},
		"storage": {"type": "file", "data_folder_path": %q},
		"connectors": [{"type": "mqtt", "name": "field", "configuration": "mqtt.json"}]}`,
		port(platform), filepath.Join(dir, "data")))
	write("mqtt.json", fmt.Sprintf(`{
		"broker": {"host": "127.0.0.1", "port": %s, "clientId": "gateway", "version": 4, "cleanSession": false,
			"security": {"type": "anonymous"}},
		"mapping": [{"topicFilter": "sensor/+/data", "subscriptionQos": 1, "converter": {"type": "json",
			"deviceInfo": {"deviceNameExpressionSource": "topic", "deviceNameExpression": "(?<=sensor/)(.*?)(?=/data)",
				"deviceProfileExpressionSource": "constant", "deviceProfileExpression": "sensor"},
			"timeseries": [{"type": "integer", "key": "seq", "value": "${seq}"}]}}]}`, port(field)))
	return dir
}

func port(addr string) string {
	for i := len(addr) - 1; ; i-- {
		if addr[i] == ':' {
			return addr[i+1:]
		}
	}
}

// platform counts what a broker in the platform's place got.
type platform struct {
	mu        sync.Mutex
	seen      map[string]map[int64]int // how often, by device and sequence number
	last      map[string]int64
	distinct  int
	repeated  int
	reordered int // new numbers that came after a higher one
}

func (p *platform) receive(m mqttx.Message) {
	defer m.Ack()
	var msg map[string][]struct {
		Values struct {
			Seq *int64 `json:"seq"`
		} `json:"values"`
	}
	if json.Unmarshal(m.Payload, &msg) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for device, elements := range msg {
		for _, e := range elements {
			if e.Values.Seq != nil {
				p.count(device, *e.Values.Seq)
			}
		}
	}
}

func (p *platform) count(device string, seq int64) {
	if p.seen[device] == nil {
		p.seen[device] = make(map[int64]int)
	}
	p.seen[device][seq]++
	if p.seen[device][seq] > 1 {
		p.repeated++
		return
	}
	p.distinct++
	if seq < p.last[device] {
		p.reordered++
	}
	p.last[device] = max(p.last[device], seq)
}

// watch subscribes to the platform's broker until ctx is done, across outages.
func (p *platform) watch(ctx context.Context, addr string) {
	for ctx.Err() == nil {
		conn, err := mqttx.Dial(ctx, mqttx.Options{Broker: "tcp://" + addr, ClientID: "checker", KeepSession: true, Receive: p.receive})
		if err == nil {
			err = conn.Subscribe(ctx, mqttx.Subscription{Filter: "v1/gateway/telemetry", QoS: 1})
			if err == nil {
				select {
				case <-conn.Done():
				case <-ctx.Done():
				}
			}
			conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *platform) has(device string, seq int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[device][seq] > 0
}

// field publishes and notes what the field broker acknowledged.
type field struct {
	conn  *mqttx.Conn
	acked map[string][]int64
}

func (f *field) publish(t *testing.T, device string, seq int64) {
	t.Helper()
	payload := fmt.Appendf(nil, `{"seq":%d,"ts":%d}`, seq, time.Now().UnixMilli())
	require.NoError(t, f.conn.Publish("sensor/"+device+"/data", 1, false, payload).Wait(t.Context()))
	f.acked[device] = append(f.acked[device], seq)
}

// Every message that the field broker has acknowledged to its device reaches the
// platform, although the platform is away for a while and the gateway is killed
// again and again.
func TestPeerMosquittoKilledGatewayLosesNothing(t *testing.T) {
	fieldBroker := peer.Mosquitto{}.Start(t)
	platformBroker := peer.Mosquitto{Persistent: true}.Start(t)
	bin := build(t)
	dir := configure(t, platformBroker.Addr(), fieldBroker.Addr())

	p := &platform{seen: make(map[string]map[int64]int), last: make(map[string]int64)}
	ctx, cancel := context.WithCancel(t.Context())
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { p.watch(ctx, platformBroker.Addr()) })

	gw := peer.Start(t, dir, bin, "-config", dir)
	conn, err := mqttx.Dial(t.Context(), mqttx.Options{Broker: "tcp://" + fieldBroker.Addr(), ClientID: "field"})
	require.NoError(t, err)
	defer conn.Close()
	f := &field{conn: conn, acked: make(map[string][]int64)}
	for seq := int64(1); !p.has("probe", 1) && !p.has("probe", seq-1); seq++ {
		f.publish(t, "probe", seq) // lost until the gateway has subscribed
		time.Sleep(50 * time.Millisecond)
		require.Less(t, seq, int64(200), "the gateway does not deliver")
	}
	delete(f.acked, "probe")

	background.Go(func() { trouble(ctx, t, gw, platformBroker) })
	start := time.Now()
	for i := range *messages {
		f.publish(t, fmt.Sprintf("dev%d", i%devices), int64(i))
		time.Sleep(time.Until(start.Add(*duration * time.Duration(i+1) / time.Duration(*messages))))
	}
	lost := -1
	for end := time.Now().Add(2 * time.Minute); lost != 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		lost = 0
		for device, seqs := range f.acked {
			for _, seq := range seqs {
				if !p.has(device, seq) {
					lost++
				}
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("sent and acknowledged %d, lost %d, sent twice %d, out of order %d, caught up %v after the last message",
		*messages, lost, p.repeated, p.reordered, time.Since(start.Add(*duration)).Round(time.Millisecond))
	require.Zero(t, lost)
	require.Zero(t, p.reordered)
}

// trouble kills the gateway at random moments and takes the platform away for a
// while.
func trouble(ctx context.Context, t *testing.T, gw *peer.Process, platform *peer.Broker) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if !sleep(ctx, *duration/4) {
			return
		}
		platform.Stop()
		_ = sleep(ctx, *outage)
		platform.Restart()
	})
	for i := range *kills {
		share := *duration / time.Duration(*kills+1)
		if !sleep(ctx, share/2+rand.N(share)) {
			return
		}
		gw.Kill()
		t.Logf("killed the gateway for the %d. time", i+1)
		gw.Start()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
