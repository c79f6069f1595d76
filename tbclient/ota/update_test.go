package ota_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/tbclient/ota"
	"github.com/gridlinks/iot-gateway/telemetry"
)

var whole = []string{"DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED"}

func empty(t *testing.T, folder string, but ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.ElementsMatch(t, but, names)
}

func TestAnUpdateIsReportedStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1234), filepath.Join(t.TempDir(), "new")
		f, i := newFake(image), &installer{}
		var log bytes.Buffer
		cfg := config(dir, i)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Install = func(ctx context.Context, m ota.Image) error {
			info, err := os.Stat(m.Path)
			require.NoError(t, err)
			if runtime.GOOS != "windows" {
				require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
			}
			require.Equal(t, "UPDATING", f.value("fw_state"))
			require.Equal(t, "1", f.value("current_fw_version"))
			return i.install(ctx, m)
		}
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, []string{"IDLE"}, f.reported())
		require.Equal(t, "gateway", f.value("current_fw_title"))
		require.Equal(t, "1", f.value("current_fw_version"))

		f.announce(pkg("2", image))
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, "2", f.value("current_fw_version"))
		require.Equal(t, image, i.bytes[0])
		require.Equal(t, ota.Image{
			Title: "gateway", Version: "2", Tag: "tag", Path: filepath.Join(dir, "fw.bin"),
			Size: 1234, Checksum: sha(image), Algorithm: "sha256",
		}, i.images[0])
		require.Len(t, f.chunks(), 13)
		require.Equal(t, 1+len(whole), strings.Count(log.String(), "level=INFO"), "one line per state")
		require.NotContains(t, log.String(), "level=WARN")

		// Being told again changes nothing.
		f.resync()
		idle(t)
		require.Empty(t, f.reported())
		require.Equal(t, 1, i.installed())
		empty(t, dir, "fw.json")
	})
}

func TestAnAnnouncementOfWhatRunsIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, i := newFake(nil), &installer{}
		f.announce(pkg("1", random(10)))
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		idle(t)
		require.Equal(t, []string{"UPDATED"}, f.reported())
		f.withdraw()
		f.announce(pkg("1", random(10)))
		idle(t)
		require.Equal(t, []string{"UPDATED"}, f.reported(), "the platform waits for it after each assignment")
		require.Empty(t, f.chunks())
	})
}

func TestSoftwareHasKeysOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(150), t.TempDir()
		f, i := newFake(image), &installer{}
		values := map[string]telemetry.Value{}
		for k, v := range pkg("2", image) {
			values["sw"+strings.TrimPrefix(k, "fw")] = v
		}
		f.announce(values)
		f.announce(pkg("9", image))
		cfg := config(dir, i)
		cfg.Kind = ota.Software
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, "2", f.value("current_sw_version"))
		require.Equal(t, "sw", f.asked[0].kind)
		require.Equal(t, filepath.Join(dir, "sw.bin"), i.images[0].Path)

		// The platform would give the one for the other.
		defer run(t, ota.New(config(dir, i)), f)()
		idle(t)
		require.Equal(t, "fw", f.asked[len(f.asked)-1].kind)
		require.NotEqual(t, f.first(), f.asked[len(f.asked)-1].request)
	})
}

func TestAPackageWithAURLIsNotDownloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, i := newFake(nil), &installer{}
		f.announce(map[string]telemetry.Value{
			"fw_title": telemetry.String("gateway"), "fw_version": telemetry.String("2"), "fw_url": telemetry.String("https://example.com/x"),
		})
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		idle(t)
		require.Equal(t, []string{"UPDATING", "UPDATED"}, f.reported())
		require.Equal(t, []ota.Image{{Title: "gateway", Version: "2", URL: "https://example.com/x"}}, i.images)
		require.Empty(t, f.chunks())
	})
}

func TestAPackageThatIsAnnouncedDuringADownloadTakesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := random(1000), random(2000)
		f, i := newFake(one), &installer{}
		f.announce(pkg("2", one))
		hold := make(chan struct{})
		f.hook(func(a ask) ([]byte, bool, error) {
			if a.chunk == 3 && a.request == f.first() {
				<-hold // the announcement comes meanwhile
				return nil, true, errOffline
			}
			return nil, false, nil
		})
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"DOWNLOADING"}, f.reported())
		f.image = two
		// The platform announces in several messages.
		values := pkg("3", two)
		f.announce(map[string]telemetry.Value{"fw_version": values["fw_version"]})
		time.Sleep(100 * time.Millisecond)
		f.announce(map[string]telemetry.Value{"fw_tag": values["fw_tag"]})
		time.Sleep(100 * time.Millisecond)
		f.announce(values)
		close(hold)
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Len(t, i.images, 1)
		require.Equal(t, "3", i.images[0].Version)
		require.Equal(t, two, i.bytes[0])
		require.NotEqual(t, f.first(), f.asked[len(f.asked)-1].request, "the platform would give the old package")
	})
}

func TestAPackageThatIsWithdrawnIsNotDownloadedFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		f.hook(func(a ask) ([]byte, bool, error) { return nil, true, errOffline })
		defer run(t, ota.New(config(dir, i)), f)()
		time.Sleep(5 * time.Second)
		f.withdraw()
		idle(t)
		require.Equal(t, []string{"DOWNLOADING", "IDLE"}, f.reported())
		asked := len(f.chunks())
		idle(t)
		require.Len(t, f.chunks(), asked)
		empty(t, dir)
	})
}

func TestAChangeThatWasNotToldIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := random(100)
		f, i := newFake(image), &installer{}
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		idle(t)
		f.mu.Lock()
		f.shared = pkg("2", image)
		f.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, append([]string{"IDLE"}, whole...), f.reported())
	})
}

func TestAStateThatWasNotAcceptedIsPublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := random(100)
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		f.refuse = 5 // more than there are states
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Zero(t, f.refuse)
	})
}

func TestWithoutAConnectionNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := random(100)
		f, i := newFake(image), &installer{}
		f.announce(pkg("2", image))
		restore := f.cut()
		defer run(t, ota.New(config(t.TempDir(), i)), f)()
		time.Sleep(30 * 24 * time.Hour)
		synctest.Wait()
		require.Empty(t, f.reported())
		restore()
		idle(t)
		require.Equal(t, whole, f.reported())
	})
}

// What fails for a reason in the attributes.
func TestBadAttributesAreReportedAndDoNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, i := newFake(nil), &installer{}
		defer run(t, ota.New(config(dir, i)), f)()
		for _, c := range []struct {
			key    string
			value  telemetry.Value
			reason string
		}{
			{"fw_size", telemetry.Int(-1), "fw_size is not a number of bytes"},
			{"fw_size", telemetry.Float(1.5), "fw_size is not a number of bytes"},
			{"fw_size", telemetry.Float(-1e300), "fw_size is not a number of bytes"},
			{"fw_size", telemetry.String("12x"), "fw_size is not a number of bytes"},
			{"fw_size", telemetry.Value{}, "fw_size is missing"},
			{"fw_size", telemetry.Int(1 << 40), "fw_size is 1099511627776, and at most 1073741824 bytes"},
			{"fw_checksum", telemetry.String(" "), "fw_checksum is missing"},
			{"fw_checksum_algorithm", telemetry.String("ROT13"), `fw_checksum_algorithm "rot13" is not known`},
			{"fw_checksum_algorithm", telemetry.Value{}, `fw_checksum_algorithm "" is not known`},
		} {
			f.withdraw()
			idle(t)
			f.reported()
			values := pkg("2", random(10))
			values[c.key] = c.value
			f.announce(values)
			idle(t)
			require.Equal(t, []string{"FAILED"}, f.reported(), c.reason)
			require.Contains(t, f.value("fw_error"), c.reason)
		}
		require.Empty(t, f.chunks())
		require.Zero(t, i.installed())
		empty(t, dir)
	})
}

func TestFileNamesDoNotComeFromThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(100), filepath.Join(t.TempDir(), "a", "b")
		f, i := newFake(image), &installer{}
		values := pkg("../../../2\x00", image)
		values["fw_title"] = telemetry.String("/etc/../../passwd")
		f.announce(values)
		cfg := config(dir, i)
		cfg.Install = func(ctx context.Context, m ota.Image) error {
			empty(t, dir, "fw.bin", "fw.json")
			return i.install(ctx, m)
		}
		defer run(t, ota.New(cfg), f)()
		idle(t)
		require.Equal(t, whole, f.reported())
		require.Equal(t, filepath.Join(dir, "fw.bin"), i.images[0].Path)
	})
}

func TestAnIncompleteConfigurationIsAnError(t *testing.T) {
	install := func(context.Context, ota.Image) error { return nil }
	for want, cfg := range map[string]ota.Config{
		"no folder":          {Install: install},
		"nothing to install": {Folder: "x"},
		`kind "hw"`:          {Kind: "hw", Folder: "x", Install: install},
	} {
		require.ErrorContains(t, ota.New(cfg).Run(t.Context(), newFake(nil)), want)
	}
}

func TestAnUpdaterRunsOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ota.New(config(t.TempDir(), &installer{}))
		stop := run(t, u, newFake(nil))
		idle(t)
		require.ErrorContains(t, u.Run(t.Context(), newFake(nil)), "already running")
		stop()
		run(t, u, newFake(nil))()
	})
}

func TestNoSpaceIsAnErrorBeforeTheDownload(t *testing.T) {
	free, known := ota.FreeSpace(t.TempDir())
	if known {
		require.Positive(t, free)
	}
	synctest.Test(t, func(t *testing.T) {
		image, dir := random(1000), t.TempDir()
		f, i := newFake(image), &installer{}
		cfg := config(dir, i)
		cfg.Reserve = 500
		u := ota.New(cfg)
		space := int64(1499)
		ota.SetSpace(u, func(string) (int64, bool) { return space, true })
		f.announce(pkg("2", image))
		defer run(t, u, f)()
		idle(t)
		require.Equal(t, []string{"FAILED"}, f.reported())
		require.Contains(t, f.value("fw_error"), "no space: 1499 bytes are free in "+dir)
		require.Empty(t, f.chunks())
		empty(t, dir)
		space = 1500
		f.withdraw()
		f.announce(pkg("2", image))
		idle(t)
		require.Equal(t, whole, f.reported())
	})
}

func TestAFolderThatCannotBeUsedIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		f, i := newFake(nil), &installer{}
		f.announce(pkg("2", random(10)))
		defer run(t, ota.New(config(filepath.Join(file, "folder"), i)), f)()
		idle(t)
		require.Equal(t, []string{"FAILED"}, f.reported())
		require.Contains(t, f.value("fw_error"), file)
	})
}

var errBroken = errors.New("the flash is worn out")
