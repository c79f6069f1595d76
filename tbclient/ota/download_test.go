package ota_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/ota"
)

func TestADownloadGoesOnAfterALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := random(1000)
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		var restore func()
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk != 4 || restore != nil {
				return nil, false, nil
			}
			restore = f.cut()
			time.AfterFunc(48*time.Hour, restore)
			return nil, true, errOffline
		})
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		time.Sleep(72 * time.Hour)
		synctest.Wait()
		require.Equal(t, whole, f.reported())
		require.Equal(t, image, i.bytes[0])
		require.Equal(t, []int{0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9}, f.chunks())
	})
}

func TestADownloadGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk == 5 {
				return nil, true, errOffline
			}
			return nil, false, nil
		})
		stop := run(t, ota.New(config(dir, i)), f)
		time.Sleep(5 * time.Second)
		stop()
		f.hook(nil)
		f.asked = nil
		f.reported()

		// Chunks of another size start at their own boundaries.
		cfg := config(dir, i)
		cfg.ChunkSize = 150
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, image, i.bytes[0])
		require.Equal(t, []int{3, 4, 5, 6}, f.chunks())
	})
}

func TestACompleteDownloadIsNotRepeatedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1050), t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk == 10 {
				_ = f.cut() // before DOWNLOADED is reported
			}
			return nil, false, nil
		})
		stop := run(t, ota.New(config(dir, i)), f)
		time.Sleep(5 * time.Second)
		stop()
		g := newFake(image)
		g.announce(pkg("2", image))
		defer run(t, ota.New(config(dir, i)), g)()
		idle(t)
		require.Equal(t, whole, g.reported())
		require.Empty(t, g.chunks())
		require.Equal(t, image, i.bytes[0])
	})
}

func TestWhatAnotherPackageHasLeftIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, dir := random(1000), random(2000)[1000:], t.TempDir()
		f, i := newFake(one), &installer{}
		f.announce(pkg("2", one))
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk == 5 {
				return nil, true, errOffline
			}
			return nil, false, nil
		})
		stop := run(t, ota.New(config(dir, i)), f)
		time.Sleep(5 * time.Second)
		stop()
		g := newFake(two)
		g.announce(pkg("2", two)) // of the same version
		defer run(t, ota.New(config(dir, i)), g)()
		idle(t)
		require.Equal(t, whole, g.reported())
		require.Len(t, g.chunks(), 10)
		require.Equal(t, two, i.bytes[0])
	})
}

// A power cut may leave a file that is longer than what was written to the
// medium.
func TestADamagedBeginningIsDownloadedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk == 5 {
				return nil, true, errOffline
			}
			return nil, false, nil
		})
		stop := run(t, ota.New(config(dir, i)), f)
		time.Sleep(5 * time.Second)
		stop()
		f.hook(nil)
		f.reported()
		file := filepath.Join(dir, "fw.bin")
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Len(t, b, 500)
		clear(b[300:])
		require.NoError(t, os.WriteFile(file, b, 0o600))
		defer run(t, ota.New(config(dir, i)), f)()
		idle(t)
		require.Equal(t, append([]string{"DOWNLOADING", "DOWNLOADED"}, whole...), f.reported())
		require.Equal(t, image, i.bytes[0])
	})
}

func TestACorruptPackageIsNotInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f, i := newFake(image), &installer{}
		corrupt := func(a ask) ([]byte, bool, error) {
			if a.chunk != 3 {
				return nil, false, nil
			}
			b := slices.Clone(image[300:400])
			b[7] ^= 1
			return b, true, nil
		}
		f.hook(corrupt)
		f.announce(pkg("2", image))
		defer run(t, ota.New(config(dir, i)), f)()
		idle(t)
		require.Equal(t, []string{"DOWNLOADING", "DOWNLOADED", "FAILED"}, f.reported())
		require.Contains(t, f.value("fw_error"), "the package is not what was announced: the sha256 is ")
		require.Equal(t, "1", f.value("current_fw_version"))
		require.Zero(t, i.installed())
		require.Len(t, f.chunks(), 10)
		empty(t, dir)

		// It is not tried again for a reconnection or because time passes.
		f.resync()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		require.Empty(t, f.reported())
		require.Len(t, f.chunks(), 10)

		// It is for the next announcement.
		f.hook(nil)
		f.withdraw()
		f.announce(pkg("2", image))
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, image, i.bytes[0])
	})
}

func TestASizeThatIsNotTrueIsAnError(t *testing.T) {
	image := random(1000)
	for name, c := range map[string]struct {
		held   []byte // by the platform
		reason string
	}{
		"ends in a chunk":      {image[:950], "it ends after 950 of 1000 bytes"},
		"ends between chunks":  {image[:500], "it ends after 500 of 1000 bytes"},
		"is empty":             {nil, "it ends after 0 of 1000 bytes"},
		"goes on in its chunk": {random(1150), "it has more than 1050 bytes"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, i := newFake(c.held), &installer{}
			announced := image
			if len(c.held) > len(image) {
				announced = random(1050)
			}
			f.announce(pkg("2", announced))
			defer run(t, ota.New(config(t.TempDir(), i)), f)()
			idle(t)
			require.Equal(t, []string{"DOWNLOADING", "FAILED"}, f.reported(), name)
			require.Contains(t, f.value("fw_error"), c.reason, name)
			require.Zero(t, i.installed())
		})
	}
}

func TestAChunkThatNeverComesIsAskedForAgainAndThenAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f := newFake(image)
		i := &installer{}
		f.announce(pkg("2", image))
		silent := &silence{fake: f, chunk: 2}
		cfg := config(dir, i)
		cfg.Retries, cfg.Timeout = 3, 7*time.Second
		stop := run(t, ota.New(cfg), silent)
		idle(t)
		require.Equal(t, []string{"DOWNLOADING", "FAILED"}, f.reported())
		require.Contains(t, f.value("fw_error"), "chunk 2, asked for 4 times: the platform does not answer")
		require.Equal(t, 4, silent.times)
		stop()

		// What was downloaded is of use to the next process.
		f.asked = nil
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, 2, f.chunks()[0])
	})
}

// A silence does not answer requests for one chunk.
type silence struct {
	*fake
	chunk, times int
}

func (s *silence) FirmwareChunk(ctx context.Context, kind string, request int64, chunk, size int) ([]byte, error) {
	if chunk == s.chunk {
		s.times++
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.fake.FirmwareChunk(ctx, kind, request, chunk, size)
}
