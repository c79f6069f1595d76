package logging_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/logging"
)

func TestALineSaysWhenHowBadAndWho(t *testing.T) {
	out := new(buffer)
	log := slog.New(logging.Lines(out)).With("connector", "meters", "bus", 1)
	log.Warn("device does not answer", "device", "hall 3", "error", errors.New(`read "x"`), "delay", 2*time.Second, "none", "")
	log.WithGroup("request").Info("sent", "connector", "other", slog.Group("reg", "from", 1, "to", 9))
	slog.New(logging.Lines(out)).Log(t.Context(), logging.LevelCritical, "end")
	lines := out.lines()
	require.Len(t, lines, 3)
	when := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} - `)
	for i, want := range []string{
		`|WARNING| - [meters] - device does not answer bus=1 device="hall 3" error="read \"x\"" delay=2s none=""`,
		`|INFO| - [meters] - sent bus=1 request.connector=other request.reg.from=1 request.reg.to=9`,
		`|CRITICAL| - [service] - end`,
	} {
		require.Equal(t, want, when.ReplaceAllString(lines[i], ""))
	}
}

// The dashboards cut a line with these two expressions.
func TestTheDashboardsUnderstandALine(t *testing.T) {
	out := new(buffer)
	slog.New(logging.Lines(out)).With("connector", "a|b]\n").Error("it [failed] |INFO|")
	line := out.lines()[0]
	require.Equal(t, "ERROR", regexp.MustCompile(`\|(\w+)\|`).FindStringSubmatch(line)[1])
	require.True(t, strings.HasPrefix(regexp.MustCompile(`\[(.*)`).FindString(line), `[a|b]\n] - it [failed]`), line)
}

// What a device sends and somebody logs forges no line and steers no terminal.
func TestNothingInARecordEndsItsLine(t *testing.T) {
	out := new(buffer)
	log := slog.New(logging.Lines(out))
	bad := "x\n2026-01-01 |INFO| forged \x1b[2J \u2028 \xff"
	log.With("connector", bad, "k", bad).Info(bad, "v", bad, "e", errors.New(bad), slog.Group("g", "v", bad)) //nolint:sloglint // the message is the point
	require.Len(t, out.lines(), 1)
	require.NotContains(t, out.String(), "\x1b")
	require.NotContains(t, out.String(), "\u2028")
	require.NotContains(t, out.String(), "\xff")
}

func TestJSONHasTheSameNamesOfLevels(t *testing.T) {
	out := new(buffer)
	l := logging.New(logging.Config{Output: out, JSON: true})
	l.Levels.SetAll(logging.LevelTrace, nil)
	l.Logger().Log(t.Context(), logging.LevelTrace, "x", "connector", "m", "level", slog.LevelInfo)
	l.Logger().Warn("y")
	lines := out.lines()
	require.Len(t, lines, 2)
	for i, want := range []string{"TRACE", "WARNING"} {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &m), lines[i])
		require.Contains(t, lines[i], `"level":"`+want+`"`)
	}
}

func TestTheOutputCanBeExchanged(t *testing.T) {
	first, second := new(buffer), new(buffer)
	l := logging.New(logging.Config{Output: first})
	log := l.For(logging.PartStorage)
	log.Info("one")
	l.SetOutput(second)
	log.Info("two")
	require.Len(t, first.lines(), 1)
	require.Len(t, second.lines(), 1)
	require.Contains(t, second.String(), "[storage] - two")
}
