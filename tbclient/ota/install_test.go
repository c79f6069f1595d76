package ota_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/ota"
)

func TestAnInstallationThatFailsIsReportedAndNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(300), t.TempDir()
		f, i := newFake(image), &installer{err: errBroken}
		f.announce(pkg("2", image))
		stop := run(t, ota.New(config(dir, i)), f)
		idle(t)
		require.Equal(t, []string{"DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "FAILED"}, f.reported())
		require.Equal(t, errBroken.Error(), f.value("fw_error"))
		require.Equal(t, "1", f.value("current_fw_version"))
		empty(t, dir, "fw.json")
		f.resync()
		time.Sleep(5 * time.Hour)
		stop()
		require.Equal(t, 1, i.installed())

		// Neither by the next process, which says so.
		stop = run(t, ota.New(config(dir, i)), f)
		idle(t)
		f.resync()
		time.Sleep(5 * time.Hour)
		require.Equal(t, []string{"FAILED"}, f.reported())
		require.Equal(t, errBroken.Error(), f.value("fw_error"))
		require.Equal(t, 1, i.installed())

		// But when it is announced anew.
		i.err = nil
		f.withdraw()
		f.announce(pkg("2", image))
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, 2, i.installed())
		stop()
	})
}

func TestAProcessThatRestartsAsTheNewVersionReportsSuccess(t *testing.T) {
	dir := t.TempDir()
	image := random(300)
	crashed(t, dir, image)
	synctest.Test(t, func(t *testing.T) {
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		cfg := config(dir, i)
		cfg.Version = "2"
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, []string{"UPDATED"}, f.reported())
		require.Equal(t, "2", f.value("current_fw_version"))
		require.Zero(t, i.installed())
		empty(t, dir)
	})
}

func TestAProcessThatRestartsAsTheOldVersionReportsFailure(t *testing.T) {
	dir := t.TempDir()
	image := random(300)
	crashed(t, dir, image)
	synctest.Test(t, func(t *testing.T) {
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		for range 3 { // restarts
			stop := run(t, ota.New(config(dir, i)), f)
			idle(t)
			f.resync()
			time.Sleep(5 * time.Hour)
			require.Equal(t, []string{"FAILED"}, f.reported())
			require.Equal(t, "gateway 2 was installed, but gateway 1 runs", f.value("fw_error"))
			stop()
		}
		require.Zero(t, i.installed(), "the device would restart for ever")
	})
}

// An Install that returns, and a restart that brings the old version back.
func TestAnInstallationHasToBeConfirmedByTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(300), t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		stop := run(t, ota.New(config(dir, i)), f)
		idle(t)
		f.resync()
		time.Sleep(5 * time.Hour)
		require.Equal(t, whole, f.reported())
		stop()
		stop = run(t, ota.New(config(dir, i)), f)
		idle(t)
		require.Equal(t, []string{"FAILED"}, f.reported())
		stop()
		require.Equal(t, 1, i.installed())

		// It is confirmed once, and then an ordinary update.
		f.withdraw()
		f.announce(pkg("3", image))
		stop = run(t, ota.New(config(dir, i)), f)
		idle(t)
		require.Equal(t, whole, f.reported())
		stop()
		cfg := config(dir, i)
		cfg.Version = "3"
		stop = run(t, ota.New(cfg), f)
		idle(t)
		require.Equal(t, []string{"UPDATED"}, f.reported())
		stop()
		empty(t, dir)
	})
}

// crashed leaves in dir what a process leaves that ends in Install.
func crashed(t *testing.T, dir string, image []byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		other := t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		cfg := config(other, i)
		cfg.Install = func(ctx context.Context, m ota.Image) error {
			require.NoError(t, os.CopyFS(dir, os.DirFS(other)))
			return i.install(ctx, m)
		}
		defer run(t, ota.New(cfg), f)()
		idle(t)
	})
	empty(t, dir, "fw.bin", "fw.json")
}

func TestAnInstallationIsNotInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := random(300), random(400)
		f, i := newFake(one), &installer{}
		release := make(chan struct{})
		cfg := config(t.TempDir(), i)
		cfg.Install = func(ctx context.Context, m ota.Image) error {
			select {
			case <-release:
			case <-ctx.Done():
				t.Error("the installation was interrupted")
			}
			return i.install(ctx, m)
		}
		f.announce(pkg("2", one))
		defer run(t, ota.New(cfg), f)()
		idle(t)
		f.mu.Lock()
		f.image = two
		f.mu.Unlock()
		f.announce(pkg("3", two))
		idle(t)
		require.Zero(t, i.installed())
		close(release)
		idle(t)
		require.Equal(t, append(append([]string(nil), whole...), whole...), f.reported())
		require.Equal(t, "3", f.value("current_fw_version"))
	})
}

func TestAnInstallationThatTheEndOfRunInterruptsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(300), t.TempDir()
		f, i := newFake(image), &installer{}
		cfg := config(dir, i)
		cfg.Install = func(ctx context.Context, _ ota.Image) error {
			<-ctx.Done()
			return ctx.Err()
		}
		f.announce(pkg("2", image))
		stop := run(t, ota.New(cfg), f)
		idle(t)
		stop()
		require.Equal(t, whole[:4], f.reported())
		f.asked = nil
		defer run(t, ota.New(config(dir, i)), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, image, i.bytes[0])
		require.Empty(t, f.chunks(), "it was downloaded again")
	})
}
