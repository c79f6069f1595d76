package logging_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

func TestLevelsHaveTheNamesOfTheDashboards(t *testing.T) {
	for _, c := range []struct {
		text string
		want slog.Level
		name string
	}{
		{"TRACE", logging.LevelTrace, "TRACE"},
		{"debug", slog.LevelDebug, "DEBUG"},
		{" INFO ", slog.LevelInfo, "INFO"},
		{"WARN", slog.LevelWarn, "WARNING"},
		{"Warning", slog.LevelWarn, "WARNING"},
		{"ERROR", slog.LevelError, "ERROR"},
		{"EXCEPTION", slog.LevelError, "ERROR"},
		{"CRITICAL", logging.LevelCritical, "CRITICAL"},
		{"NONE", logging.LevelNone, "NONE"},
		{"notset", logging.LevelNone, "NONE"},
		{"5", logging.LevelTrace, "TRACE"},
		{"10", slog.LevelDebug, "DEBUG"},
		{"15", slog.LevelInfo, "INFO"},
		{"20", slog.LevelInfo, "INFO"},
		{"30", slog.LevelWarn, "WARNING"},
		{"40", slog.LevelError, "ERROR"},
		{"50", logging.LevelCritical, "CRITICAL"},
		{"100", logging.LevelNone, "NONE"},
	} {
		got, err := logging.ParseLevel(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
		require.Equal(t, c.name, logging.LevelName(got), c.text)
	}
	for _, bad := range []string{"", "LOUD", "-3", "INFO,DEBUG"} {
		_, err := logging.ParseLevel(bad)
		require.ErrorContains(t, err, "level")
	}
}

func TestEachSourceHasItsLevelWhichChangesWhileItLogs(t *testing.T) {
	out := new(buffer)
	levels := logging.NewLevels(slog.LevelWarn)
	log := slog.New(levels.Handler(logging.Lines(out)))
	meters, sensors := log.With("connector", "meters"), log.With("connector", "sensors")
	storage := log.With(logging.PartKey, logging.PartStorage)

	levels.Set(logging.Connector("meters"), slog.LevelDebug)
	meters.Debug("a")
	sensors.Debug("hidden")
	storage.Info("hidden")
	log.Info("b", "connector", "meters")
	log.Info("hidden", "connector", "sensors")
	levels.Set(logging.Part(logging.PartStorage), slog.LevelInfo)
	storage.Info("c")
	storage.Info("d", "connector", "meters")
	levels.Set(logging.Part(logging.PartConnector), logging.LevelTrace)
	sensors.Debug("e")
	levels.Set(logging.Connector("meters"), logging.LevelNone)
	meters.Error("hidden")
	levels.Unset(logging.Connector("meters"))
	meters.Info("f")
	levels.SetAll(slog.LevelError, map[logging.Source]slog.Level{logging.Connector("sensors"): slog.LevelInfo})
	storage.Warn("hidden")
	meters.Warn("hidden")
	sensors.Info("g")
	sensors.WithGroup("x").Info("h", "connector", "meters")

	got := ""
	for _, line := range out.lines() {
		require.NotContains(t, line, "hidden")
		got += line[len(line)-1:]
	}
	require.Equal(t, "abcdefgs", got) // the last one ends with x.connector=meters
}

func TestAFixedLevelStays(t *testing.T) {
	levels := logging.NewLevels(slog.LevelInfo)
	levels.Set(logging.Connector("meters"), logging.LevelNone)
	levels.Fix(slog.LevelDebug)
	levels.Set(logging.Connector("sensors"), slog.LevelError)
	levels.SetAll(slog.LevelWarn, map[logging.Source]slog.Level{logging.Part("storage"): slog.LevelWarn})
	for _, s := range []logging.Source{logging.Connector("meters"), logging.Connector("sensors"), logging.Part("storage"), logging.Part("x")} {
		require.Equal(t, slog.LevelDebug, levels.Level(s))
	}
}

// A part that is named like a connector is another source.
func TestAPartAndAConnectorOfOneNameDiffer(t *testing.T) {
	levels := logging.NewLevels(slog.LevelInfo)
	levels.Set(logging.Connector("storage"), logging.LevelNone)
	require.Equal(t, slog.LevelInfo, levels.Level(logging.Part("storage")))
	require.Equal(t, logging.LevelNone, levels.Level(logging.Connector("storage")))
}

func TestARecordBelowItsLevelCostsNoAllocation(t *testing.T) {
	l := logging.New(logging.Config{Output: new(buffer)})
	log := l.Logger().With("connector", "meters")
	require.Zero(t, testing.AllocsPerRun(100, func() { log.Debug("one of many") }))
}

func TestErrorsAreCountedBySourceEvenIfNoLevelLetsThemPass(t *testing.T) {
	out := new(buffer)
	l := logging.New(logging.Config{Output: out})
	l.Levels.SetAll(logging.LevelNone, nil)
	l.Logger().Error("x")
	l.Logger().Error("x") // a repeated one counts as well
	l.Logger().Warn("x")
	l.Logger().With("connector", "meters").Error("x")
	l.For(logging.PartStorage).Log(t.Context(), logging.LevelCritical, "x")
	require.Equal(t, map[string]uint64{"service": 2, "meters": 1, "storage": 1}, l.Errors.Counts())
	require.Empty(t, out.String())
}

func TestCountedSourcesAreBounded(t *testing.T) {
	var e logging.Errors
	log := slog.New(e.Handler(slog.DiscardHandler))
	for i := range 3000 {
		log.With("connector", string(rune('a'+i%26))+string(rune(0x4e00+i))).Error("x")
	}
	require.LessOrEqual(t, len(e.Counts()), 1001)
	require.EqualValues(t, 2000, e.Counts()["other"])
}
