package ota_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/tbclient/ota"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var _ ota.Platform = (*tbclient.Client)(nil)

// A fake is a platform in memory, for tests in simulated time.
type fake struct {
	mu       sync.Mutex
	shared   map[string]telemetry.Value
	watchers map[int]func([]telemetry.Point, []string)
	image    []byte
	states   []string                                            // that were reported: state, or FAILED: error
	last     map[string]string                                   // telemetry that was reported last
	asked    []ask                                               // chunks that were asked for
	refuse   int                                                 // publications
	offline  chan struct{}                                       // closed when the connection is back; nil: there is one
	onChunk  func(a ask) (chunk []byte, handled bool, err error) // before the platform answers
}

type ask struct {
	request     int64
	chunk, size int
	kind        string
}

var errOffline = errors.New("connection lost")

func newFake(image []byte) *fake {
	return &fake{
		shared: map[string]telemetry.Value{}, watchers: map[int]func([]telemetry.Point, []string){},
		image: image, last: map[string]string{},
	}
}

// random returns an image of n bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(b)
	return b
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// pkg returns the attributes of a package.
func pkg(version string, image []byte) map[string]telemetry.Value {
	return map[string]telemetry.Value{
		"fw_title": telemetry.String("gateway"), "fw_version": telemetry.String(version), "fw_tag": telemetry.String("tag"),
		"fw_size": telemetry.Int(int64(len(image))), "fw_checksum": telemetry.String(sha(image)), "fw_checksum_algorithm": telemetry.String("SHA256"),
	}
}

// announce sets attributes, and tells of them.
func (f *fake) announce(values map[string]telemetry.Value) {
	f.mu.Lock()
	maps.Copy(f.shared, values)
	watchers := slices.Collect(maps.Values(f.watchers))
	f.mu.Unlock()
	points := make([]telemetry.Point, 0, len(values))
	for k, v := range values {
		points = append(points, telemetry.Point{Key: k, Value: v})
	}
	for _, w := range watchers {
		w(points, nil)
	}
}

// withdraw deletes the attributes of the package.
func (f *fake) withdraw() {
	f.mu.Lock()
	keys := slices.Collect(maps.Keys(f.shared))
	clear(f.shared)
	watchers := slices.Collect(maps.Values(f.watchers))
	f.mu.Unlock()
	for _, w := range watchers {
		w(nil, keys)
	}
}

// resync tells of all attributes, as a client does after a reconnection.
func (f *fake) resync() { f.announce(maps.Clone(f.shared)) }

// cut ends the connection, until the function that it returns is called.
func (f *fake) cut() (restore func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan struct{})
	f.offline = ch
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.offline = nil
		close(ch)
	}
}

// await waits for a connection.
func (f *fake) await(ctx context.Context) error {
	f.mu.Lock()
	ch := f.offline
	f.mu.Unlock()
	if ch == nil {
		return ctx.Err()
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) OwnAttributes(ctx context.Context, _, shared []string) (_, points []telemetry.Point, err error) {
	if err := f.await(ctx); err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range shared {
		if v, ok := f.shared[k]; ok {
			points = append(points, telemetry.Point{Key: k, Value: v})
		}
	}
	return nil, points, nil
}

func (f *fake) WatchOwnAttributes(w func([]telemetry.Point, []string)) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := len(f.watchers)
	f.watchers[id] = w
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, id)
	}
}

func (f *fake) PublishOwn(ctx context.Context, points, _ []telemetry.Point) error {
	if err := f.await(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse > 0 {
		f.refuse--
		return errOffline
	}
	clear(f.last)
	for _, p := range points {
		f.last[p.Key] = p.Value.String()
	}
	for _, kind := range []string{"fw", "sw"} {
		if s, ok := f.last[kind+"_state"]; ok {
			f.states = append(f.states, s)
		}
	}
	return nil
}

func (f *fake) FirmwareChunk(ctx context.Context, kind string, request int64, chunk, size int) ([]byte, error) {
	if err := f.await(ctx); err != nil {
		return nil, err
	}
	a := ask{request, chunk, size, kind}
	f.mu.Lock()
	f.asked = append(f.asked, a)
	hook := f.onChunk
	f.mu.Unlock()
	if hook != nil {
		if b, handled, err := hook(a); handled || err != nil {
			return b, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from := min(chunk*size, len(f.image))
	return slices.Clone(f.image[from:min(from+size, len(f.image))]), nil
}

// hook sets what happens when a chunk is asked for.
func (f *fake) hook(h func(a ask) ([]byte, bool, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onChunk = h
}

// chunks returns the chunks that were asked for.
func (f *fake) chunks() (numbers []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		numbers = append(numbers, a.chunk)
	}
	return numbers
}

// first returns the number of the first download.
func (f *fake) first() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[0].request
}

// reported returns the states since the last call.
func (f *fake) reported() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.states
	f.states = nil
	return s
}

func (f *fake) value(key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last[key]
}

// An installer keeps what it was given.
type installer struct {
	mu     sync.Mutex
	images []ota.Image
	bytes  [][]byte
	err    error
}

func (i *installer) install(_ context.Context, m ota.Image) error {
	var b []byte
	if m.Path != "" {
		var err error
		if b, err = os.ReadFile(m.Path); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.images, i.bytes = append(i.images, m), append(i.bytes, b)
	return i.err
}

func (i *installer) installed() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.images)
}

// config is for version 1 of a gateway. A chunk is 100 bytes.
func config(folder string, i *installer) ota.Config {
	return ota.Config{
		Title: "gateway", Version: "1", Folder: folder, ChunkSize: 100, Install: i.install,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// run runs an Updater until stop is called, in a bubble of simulated time.
func run(t *testing.T, u *ota.Updater, p ota.Platform) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx, p) }()
	return sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// idle waits until everything waits for something else than simulated time,
// having let some of it pass.
func idle(t *testing.T) {
	t.Helper()
	time.Sleep(20 * time.Minute) // less than Config.Refresh
	synctest.Wait()
}
