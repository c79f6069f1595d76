package logging_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

// run runs r until the test ends.
func run(t *testing.T, r *logging.Remote, p logging.Publisher) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, r.Run(ctx, p)) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func TestRecordsAreSentUnderTheKeysOfTheDashboards(t *testing.T) {
	p := new(platform)
	l := logging.New(logging.Config{Output: new(buffer)})
	l.Remote.SetGatewayLevel(slog.LevelInfo)
	l.Remote.Levels().Set(logging.Connector("M1"), slog.LevelDebug)
	l.Logger().Info("from the service")
	l.For(logging.PartConnection).Warn("from the connection")
	l.For(logging.PartStorage).Info("from the storage")
	l.For(logging.PartExtension).Info("from an extension")
	l.Logger().With("connector", "M1").Debug("from M1")
	l.Logger().With("connector", "M2").Error("not asked for")
	l.Logger().Debug("too low")
	run(t, l.Remote, p)
	eventually(t, "all sent", func() bool { return l.Remote.Stats().Sent == 5 })
	for key, text := range map[string]string{
		"SERVICE_LOGS":    "|INFO| - [service] - from the service",
		"CONNECTION_LOGS": "|WARNING| - [tb_connection] - from the connection",
		"STORAGE_LOGS":    "|INFO| - [storage] - from the storage",
		"EXTENSION_LOGS":  "|INFO| - [extension] - from an extension",
		"M1_LOGS":         "|DEBUG| - [M1] - from M1",
	} {
		lines, _ := p.of(key)
		require.Len(t, lines, 1, key)
		require.True(t, strings.HasSuffix(lines[0], text), lines[0])
	}
	lines, stamps := p.of("LOGS")
	require.Len(t, lines, 5)
	for i := 1; i < len(stamps); i++ {
		require.Greater(t, stamps[i], stamps[i-1], "the platform keeps one value for a time stamp")
	}
	lines, _ = p.of("M2_LOGS")
	require.Empty(t, lines)
}

func TestNothingIsSentUntilALevelSaysSo(t *testing.T) {
	l := logging.New(logging.Config{Output: new(buffer)})
	l.Logger().Error("x")
	l.Logger().With("connector", "M1").Error("x")
	require.Zero(t, l.Remote.Stats().Waiting)
}

func TestRecordsAreSentAtABoundedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(platform)
		r := logging.NewRemote(logging.RemoteConfig{Rate: 10, Records: 1000})
		r.SetGatewayLevel(slog.LevelInfo)
		log := slog.New(r.Handler())
		for range 1000 {
			log.Info("x")
		}
		run(t, r, p)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		sent := r.Stats().Sent
		require.GreaterOrEqual(t, sent, uint64(480))
		require.LessOrEqual(t, sent, uint64(540))
		for _, n := range p.sizes {
			require.LessOrEqual(t, n, 2*20)
		}
	})
}

func TestTheQueueIsBoundedAndItsLossesAreTold(t *testing.T) {
	p := new(platform)
	r := logging.NewRemote(logging.RemoteConfig{Records: 5, Rate: 1e6})
	r.SetGatewayLevel(slog.LevelInfo)
	log := slog.New(r.Handler())
	for range 20 {
		log.Info("x")
	}
	require.Equal(t, 5, r.Stats().Waiting)
	require.EqualValues(t, 15, r.Stats().Dropped)
	run(t, r, p)
	eventually(t, "the loss is told", func() bool {
		lines, _ := p.of("SERVICE_LOGS")
		return len(lines) == 6 && strings.Contains(lines[5], "records=15")
	})
	log.Info("more")
	eventually(t, "it goes on", func() bool {
		lines, _ := p.of("SERVICE_LOGS")
		return len(lines) == 7 && strings.HasSuffix(lines[6], "more")
	})
}

func TestALogDuringAnOutageNeitherBlocksNorGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		online := make(chan struct{})
		p := &platform{publish: func(ctx context.Context) error {
			select {
			case <-online:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		r := logging.NewRemote(logging.RemoteConfig{Records: 100})
		r.SetGatewayLevel(slog.LevelInfo)
		run(t, r, p)
		log := slog.New(r.Handler())
		for range 3600 {
			log.Info("x")
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, r.Stats().Waiting, 100)
		close(online)
		time.Sleep(5 * time.Minute)
		s := r.Stats()
		require.Zero(t, s.Waiting)
		require.Positive(t, s.Sent)
		require.Positive(t, s.Dropped)
	})
}

// A record that is longer than a message may be ended the remote logging of the
// Python gateway.
func TestALongRecordIsCutAndEndsNothing(t *testing.T) {
	p := new(platform)
	r := logging.NewRemote(logging.RemoteConfig{Rate: 1e6})
	r.SetGatewayLevel(slog.LevelInfo)
	log := slog.New(r.Handler())
	log.Info("long", "text", strings.Repeat(`ü"`, 50_000))
	log.Info("short")
	run(t, r, p)
	eventually(t, "both sent", func() bool { return r.Stats().Sent == 2 })
	lines, _ := p.of("SERVICE_LOGS")
	require.LessOrEqual(t, len(lines[0]), 2048)
	require.True(t, strings.HasSuffix(lines[0], "..."))
	require.True(t, utf8.ValidString(lines[0]))
	require.True(t, strings.HasSuffix(lines[1], "short"))
	require.EqualValues(t, 1, r.Stats().Truncated)
}

// Whatever the sizes, a publication stays below what a platform takes.
func TestPublicationsAreBoundedInBytes(t *testing.T) {
	p := new(platform)
	r := logging.NewRemote(logging.RemoteConfig{Rate: 1e6, BatchBytes: 8192})
	r.SetGatewayLevel(slog.LevelInfo)
	log := slog.New(r.Handler())
	for range 40 {
		log.Info("x", "text", strings.Repeat("x", 1500))
	}
	run(t, r, p)
	eventually(t, "all sent", func() bool { return r.Stats().Sent == 40 })
	i := 0
	for _, n := range p.sizes {
		size := 0
		for _, pt := range p.points[i : i+n] {
			size += len(pt.Key) + len(pt.Value.AppendJSON(nil)) + 32
		}
		i += n
		require.LessOrEqual(t, size, 8192)
	}
}

// The client of the platform logs while it publishes log records.
func TestThePublishersOwnLinesFeedNothingBack(t *testing.T) {
	l := logging.New(logging.Config{Output: new(buffer), Window: -1, Remote: logging.RemoteConfig{Rate: 1e6}})
	l.Remote.SetGatewayLevel(logging.LevelTrace)
	connection := l.For(logging.PartConnection)
	p := &platform{publish: func(context.Context) error {
		connection.Warn("published")
		connection.Debug("published in detail")
		return nil
	}}
	run(t, l.Remote, p)
	connection.Warn("connected")
	eventually(t, "sent", func() bool { return l.Remote.Stats().Sent == 1 })
	eventually(t, "the queue stays empty", func() bool { s := l.Remote.Stats(); return s.Waiting == 0 && s.Muted == 2 })
	l.Logger().Info("from the service")
	eventually(t, "sent", func() bool { return l.Remote.Stats().Sent == 2 })
	lines, _ := p.of("LOGS")
	require.Len(t, lines, 2)
}

// What the connection logs while a publication waits for it is about the outage.
func TestWhatTheConnectionLogsInAnOutageIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := logging.New(logging.Config{Output: new(buffer), Window: -1})
		l.Remote.SetGatewayLevel(slog.LevelInfo)
		online := make(chan struct{})
		p := &platform{publish: func(ctx context.Context) error { <-online; return nil }}
		run(t, l.Remote, p)
		l.Logger().Info("first")
		time.Sleep(20 * time.Second)
		l.For(logging.PartConnection).Warn("refused")
		close(online)
		time.Sleep(20 * time.Second)
		lines, _ := p.of("CONNECTION_LOGS")
		require.Len(t, lines, 1)
	})
}

func TestAPublicationThatFailsIsTriedAgainAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 2
		p := &platform{}
		p.publish = func(context.Context) error {
			if failures > 0 {
				failures--
				return errors.New("no")
			}
			return nil
		}
		r := logging.NewRemote(logging.RemoteConfig{})
		r.SetGatewayLevel(slog.LevelInfo)
		run(t, r, p)
		log := slog.New(r.Handler())
		log.Info("a")
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, r.Stats().Sent)
		failures = 3
		log.Info("b")
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, r.Stats().Sent)
		require.EqualValues(t, 1, r.Stats().Dropped)
		log.Info("c")
		time.Sleep(time.Minute)
		lines, _ := p.of("SERVICE_LOGS")
		require.Len(t, lines, 3) // a, c and what was lost
	})
}

func FuzzALineIsOneLine(f *testing.F) {
	f.Add("meters", "message", "key", "value")
	f.Add("a\nb", "\x1b[2J", "", "\xff\u2028")
	f.Fuzz(func(t *testing.T, connector, message, key, value string) {
		out := new(buffer)
		log := slog.New(logging.Lines(out)).With("connector", connector)
		log.Info(message, slog.String(key, value)) //nolint:sloglint // the message is the point
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.True(t, utf8.ValidString(out.String()))
	})
}
