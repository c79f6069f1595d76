package ftp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/connectortest"
	"github.com/gridlinks/iot-gateway/protocols/ftp"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func (m *memory) config(t *testing.T, paths ...ftp.Path) ftp.Config {
	t.Helper()
	return ftp.Config{Dial: m.Dial, Server: "memory", Paths: paths, State: filepath.Join(t.TempDir(), "state")}
}

// polled returns the values of v that one poll delivers, by a connector of its own.
func polled(t *testing.T, cfg ftp.Config) []string {
	t.Helper()
	h := connectortest.NewHost(t)
	require.NoError(t, ftp.PollOnce(t.Context(), ftp.New(cfg), h))
	return values(h, "v")
}

func TestRestartSendsNothingTwice(t *testing.T) {
	m := newMemory()
	m.put("a/x.csv", "v\n1\n", 0)
	cfg := m.config(t, table("*/*.csv"))
	require.Equal(t, []string{"1"}, polled(t, cfg))
	require.Empty(t, polled(t, cfg))
	m.put("a/x.csv", "v\n1\n2", 1)
	require.Equal(t, []string{"2"}, polled(t, cfg))
	m.put("a/x.csv", "v\n1\n22\n3\n", 2)
	require.Equal(t, []string{"22", "3"}, polled(t, cfg), "a line that has grown is sent as a whole")
	m.put("a/x.csv", "v\n9\n8\n7\n6\n5\n", 3)
	require.Equal(t, []string{"9", "8", "7", "6", "5"}, polled(t, cfg), "another file under the same name")
}

// A crashing host takes some batches. That the next one is durable nobody hears any
// more: the process is gone.
type crashing struct {
	*connectortest.Host
	left int
	stop context.CancelFunc
}

func (h *crashing) Submit(ctx context.Context, b *telemetry.Batch) (connector.Receipt, error) {
	receipt, err := h.Host.Submit(ctx, b)
	if h.left--; h.left < 0 {
		h.stop()
		return connector.Receipt{}, ctx.Err()
	}
	return receipt, err
}

func TestCrashLosesAndRepeatsNothing(t *testing.T) {
	const rows = 1750
	m := newMemory()
	var text strings.Builder
	text.WriteString("v\n")
	for i := range rows {
		fmt.Fprintln(&text, i)
	}
	m.put("a.csv", text.String(), 0)
	cfg := m.config(t, table("a.csv"))
	seen := make(map[int64]string) // by time, as the platform keeps readings
	for batches := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		crash := &crashing{Host: connectortest.NewHost(t), left: batches, stop: cancel}
		_ = ftp.PollOnce(ctx, ftp.New(cfg), crash)
		cancel()
		for _, r := range crash.Readings(false) {
			if old, ok := seen[r.TS]; ok {
				require.Equal(t, old, r.Value.String(), "the time of a reading that is repeated")
			}
			seen[r.TS] = r.Value.String()
		}
	}
	require.Len(t, seen, rows)
}

func TestBadFileCostsItself(t *testing.T) {
	m := newMemory()
	m.put("a.json", "{not json", 5)
	m.put("b.json", `[{"v":1},5,{"v":2}]`, 4)
	m.put("c.json", strings.Repeat(" ", 3000)+`{"v":3}`, 3)
	m.put("d.json", `{"v":4}`, 2)
	p := table("*.json")
	p.MaxBytes, p.After = 2000, ftp.Delete
	require.Equal(t, []string{"1", "2", "4"}, polled(t, m.config(t, p)))
	require.Equal(t, []string{"a.json", "b.json", "c.json"}, m.names(), "only what was delivered as a whole is deleted")
}

func TestTables(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"byte order mark": {"\xef\xbb\xbfv,w\n1,2\n", "1"},
		"CRLF":            {"w,v\r\n2,1\r\n", "1"},
		"quotes":          {"w,v\n\"a,\"\"b\",\"x,y\"\n", "x,y"},
		"bad UTF-8":       {"v\n\xff\n", "\uFFFD"},
		"open quote":      {"v\n\"x\n", "\"x"},
	} {
		m := newMemory()
		m.put("a.csv", c.data, 0)
		assert.Equal(t, []string{c.want}, polled(t, m.config(t, table("*.csv"))), name)
	}
}

type source struct {
	*memory
	mu  sync.Mutex
	ids []int64
}

func (s *source) Send(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
	s.put(fmt.Sprintf("in/%d.json", id), `{"id":`+strconv.FormatInt(id, 10)+`}`, -int(id)) // the newest file goes first
}

func (s *source) Acked() (acked []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids {
		if _, there := s.get(fmt.Sprintf("in/%d.json", id)); !there {
			acked = append(acked, id)
		}
	}
	return acked
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Harness{
		New: func(t *testing.T) (connector.Connector, connectortest.Source) {
			m := newMemory()
			m.put("in/keep.bin", "", 0)
			return ftp.New(m.config(t, ftp.Path{
				Pattern: "in/*.json", Period: 20 * time.Millisecond, After: ftp.Delete, Device: "S",
				Timeseries: []ftp.Datapoint{{Key: "id", Value: "${id}", Type: "int"}},
			})), &source{memory: m}
		},
	})
}

func FuzzConvert(f *testing.F) {
	for _, s := range []string{"v\n1\n", "\"a\"\",\"", "{}", `[{"v":1}]`, "\xef\xbb\xbf", "a,b\r\n\r\n"} {
		f.Add("a.csv", []byte(s))
		f.Add("a.json", []byte(s))
		f.Add("a.txt", []byte(s))
	}
	cfg := ftp.Config{Paths: []ftp.Path{table("*.*")}}
	cfg.Paths[0].Sliced = true
	f.Fuzz(func(_ *testing.T, name string, data []byte) {
		var b telemetry.Batch
		_ = ftp.Convert(cfg, name, data, &b)
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"server":"s"}` + "\n" + `{"file":"a","state":{"size":1}}` + "\n" + `{"fi`))
	f.Fuzz(func(_ *testing.T, data []byte) { ftp.ReadJournal(data, "s") })
}

func TestJournalTakesWhatIsWhole(t *testing.T) {
	data := []byte(`{"server":"s"}` + "\n" + `{"file":"a","state":{"size":1}}` + "\n" + `{"fi`)
	assert.Equal(t, 1, ftp.ReadJournal(data, "s"))
	assert.Zero(t, ftp.ReadJournal(data, "another server"))
}

func TestRowsCostNoMemory(t *testing.T) {
	p := table("a.csv")
	p.Device = "dev ${id}"
	p.Profile = "P"
	p.Timeseries[0].Type = "double"
	convert, n := ftp.Table(ftp.Config{Paths: []ftp.Path{p}}, []byte("id,v\n7,1.5\n8,2.5\n"))
	require.Equal(t, 2, n)
	var b telemetry.Batch
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		b.Reset()
		require.NoError(t, convert(1, &b))
	}))
}

func TestAttributeUpdates(t *testing.T) {
	m := newMemory()
	m.put("cfg/a.json", "{}", 0)
	m.put("cfg/a.txt", "x", 0)
	cfg := m.config(t)
	cfg.Updates = []ftp.Update{
		{Path: "cfg/a.json", Value: "{'${attributeKey}':'${attributeValue}','n':${attributeValue}}"},
		{Path: "cfg/a.txt", Value: "${attributeKey}=${attributeValue}", Append: true},
		{Path: "cfg/a.txt", Device: "Other", Value: "no"},
	}
	c := ftp.New(cfg)
	host, _ := start(t, c)
	host.Eventually(t, "the connector to start", host.IsReady)
	require.NoError(t, c.UpdateAttributes(t.Context(), connector.AttributeUpdate{
		Device: "S", Attributes: []telemetry.Point{{Key: "k", Value: telemetry.String(`a"b`)}},
	}))
	got, _ := m.get("cfg/a.json")
	assert.True(t, json.Valid([]byte(got)), got)
	assert.JSONEq(t, `{"k":"a\"b","n":"a\"b"}`, got)
	got, _ = m.get("cfg/a.txt")
	assert.Equal(t, "x\nk=a\"b", got)
}
