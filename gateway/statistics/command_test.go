package statistics_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/telemetry"
)

func TestCommandsAreReadInEveryForm(t *testing.T) {
	got, err := statistics.ParseCommands([]byte(`[
		{"attributeOnGateway": "Uptime", "command": "uptime -p", "timeout": 2.5},
		{"attributeOnGateway": "Load", "command": ["cat", "/proc/loadavg"]}]`))
	require.NoError(t, err)
	require.Equal(t, []statistics.Command{
		{Attribute: "Uptime", Line: "uptime -p", Timeout: 2500 * time.Millisecond},
		{Attribute: "Load", Args: []string{"cat", "/proc/loadavg"}, Timeout: statistics.DefaultTimeout},
	}, got)
}

func TestABadCommandIsNamedAndCostsNoOther(t *testing.T) {
	got, err := statistics.ParseCommands([]byte(`[
		{"command": "a"},
		{"attributeOnGateway": "x", "command": 5},
		{"attributeOnGateway": "x"},
		{"attributeOnGateway": "x", "command": "a", "timeout": -1},
		{"attributeOnGateway": "i", "command": "a", "installCmd": "apt install a"},
		{"attributeOnGateway": "good", "command": "a"}]`))
	for _, want := range []string{"commands[0].attributeOnGateway", "commands[1].command", "commands[2].command", "commands[3].timeout", "commands[4].installCmd"} {
		require.ErrorContains(t, err, want)
	}
	require.Len(t, got, 2)
	_, err = statistics.ParseCommands([]byte(`{`))
	require.ErrorContains(t, err, "statistics: commands")
}

// runner answers by the name of the attribute.
type runner func(ctx context.Context, c statistics.Command) (string, error)

func (r runner) Run(ctx context.Context, c statistics.Command) (string, error) { return r(ctx, c) }

func TestCommandsBecomeTelemetryAndOneThatFailsCostsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		cfg := s.config()
		cfg.Settings = statistics.Settings{Period: -1, CommandPeriod: time.Minute, Commands: []statistics.Command{
			{Attribute: "fails"}, {Attribute: "panics"}, {Attribute: "hangs", Timeout: time.Second}, {Attribute: "empty"}, {Attribute: "number"}, {Attribute: "nan"}, {Attribute: "text"},
		}}
		cfg.Runner = runner(func(ctx context.Context, c statistics.Command) (string, error) {
			switch c.Attribute {
			case "fails":
				return "half", errors.New("exit status 1")
			case "panics":
				panic("oops")
			case "hangs":
				<-ctx.Done()
				return "", context.Cause(ctx)
			case "number":
				return " 42\n", nil
			case "nan":
				return "NaN\n", nil
			case "text":
				return "up 2 days\n", nil
			}
			return "\n", nil
		})
		run(t, statistics.New(cfg), p)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		require.Len(t, p.messages, 2, "at once, and after a minute")
		require.Equal(t, []telemetry.Value{telemetry.Float(42), telemetry.Float(42)}, p.all("number"))
		require.Equal(t, []telemetry.Value{telemetry.String("NaN"), telemetry.String("NaN")}, p.all("nan"))
		require.Equal(t, []telemetry.Value{telemetry.String("up 2 days"), telemetry.String("up 2 days")}, p.all("text"))
		require.Len(t, p.messages[0], 3)
		require.Empty(t, p.attributes, "the period of statistics is negative")
	})
}

// Neither a file nor the platform makes a program run commands that it did not
// ask for.
func TestWithoutARunnerNothingIsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource(), new(platform)
		cfg := s.config()
		cfg.Settings = statistics.Settings{Period: -1, Commands: []statistics.Command{{Attribute: "x", Line: "id"}}}
		run(t, statistics.New(cfg), p)
		time.Sleep(time.Hour)
		require.Empty(t, p.messages)
	})
}

func TestCommandsAreNotRunWhenThereAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		s, p := newSource(), new(platform)
		cfg := s.config()
		cfg.Period = -1
		cfg.Runner = runner(func(context.Context, statistics.Command) (string, error) { runs.Add(1); return "1", nil })
		c := statistics.New(cfg)
		run(t, c, p)
		time.Sleep(time.Hour)
		require.Zero(t, runs.Load())
		c.Set(statistics.Settings{Period: -1, CommandPeriod: time.Hour, Commands: []statistics.Command{{Attribute: "x"}}})
		time.Sleep(150 * time.Minute)
		require.EqualValues(t, 3, runs.Load())
	})
}

func TestExecRunsProgramsWithoutAShellUnlessAsked(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are those of Unix")
	}
	ctx := t.Context()
	out, err := statistics.Exec{}.Run(ctx, statistics.Command{Line: "echo a  b"})
	require.NoError(t, err)
	require.Equal(t, "a b\n", out)
	for _, line := range []string{"echo a; id", "echo $HOME", "echo `id`", "cat < /etc/passwd", "ls *", `echo "a b"`, "a | b", "a && b"} {
		_, err = statistics.Exec{}.Run(ctx, statistics.Command{Line: line})
		require.ErrorContains(t, err, "shell", line)
	}
	out, err = statistics.Exec{Shell: true}.Run(ctx, statistics.Command{Line: "echo a; echo b | tr b c"})
	require.NoError(t, err)
	require.Equal(t, "a\nc\n", out)
	out, err = statistics.Exec{}.Run(ctx, statistics.Command{Args: []string{"echo", "$HOME; id"}})
	require.NoError(t, err)
	require.Equal(t, "$HOME; id\n", out)
	out, err = statistics.Exec{MaxOutput: 10}.Run(ctx, statistics.Command{Line: "seq 1000000"})
	require.NoError(t, err)
	require.Len(t, out, 10)
	for _, c := range []statistics.Command{{}, {Line: "  "}, {Line: "no-such-program-here"}, {Args: []string{"false"}}} {
		_, err = statistics.Exec{}.Run(ctx, c)
		require.Error(t, err)
	}
}

// A program that started others and hangs is killed with them.
func TestACommandThatHangsIsKilledWithItsChildren(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are those of Unix")
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("too slow"))
	defer cancel()
	began := time.Now()
	_, err := statistics.Exec{Shell: true}.Run(ctx, statistics.Command{Line: "sleep 300 & sleep 300; echo x"})
	require.ErrorContains(t, err, "too slow")
	require.Less(t, time.Since(began), 100*time.Second)
}

func FuzzParseCommands(f *testing.F) {
	f.Add([]byte(`[{"attributeOnGateway": "Uptime", "command": "uptime", "timeout": 100}]`))
	f.Add([]byte(`[{"attributeOnGateway": "x", "command": ["a", "b"], "installCmd": null}]`))
	f.Add([]byte(`[{"attributeOnGateway": 1}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		commands, _ := statistics.ParseCommands(raw)
		for _, c := range commands {
			if c.Attribute == "" || c.Timeout <= 0 || strings.TrimSpace(c.Line) == "" && len(c.Args) == 0 {
				t.Fatalf("%q gives %+v", raw, c)
			}
		}
	})
}
