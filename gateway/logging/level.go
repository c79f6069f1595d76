package logging

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
)

// The levels that slog has no names for. The numbers between are free.
const (
	LevelTrace    = slog.Level(-8)
	LevelCritical = slog.Level(12)

	// LevelNone is above every record.
	LevelNone = slog.Level(math.MaxInt32)
)

// ParseLevel returns the level of a name as configuration files and dashboards
// have it, in any case: TRACE, DEBUG, INFO, WARN or WARNING, ERROR or EXCEPTION,
// CRITICAL or FATAL, NONE or NOTSET. A number is a level of Python's logging, in
// which DEBUG is 10 and CRITICAL is 50.
func ParseLevel(name string) (slog.Level, error) {
	name = strings.TrimSpace(name)
	switch strings.ToUpper(name) {
	case "TRACE":
		return LevelTrace, nil
	case "DEBUG":
		return slog.LevelDebug, nil
	case "INFO":
		return slog.LevelInfo, nil
	case "WARN", "WARNING":
		return slog.LevelWarn, nil
	case "ERROR", "EXCEPTION":
		return slog.LevelError, nil
	case "CRITICAL", "FATAL":
		return LevelCritical, nil
	case "NONE", "NOTSET":
		return LevelNone, nil
	}
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("logging: level %q is not TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or NONE", name)
	}
	switch {
	case n == 0 || n > 50:
		return LevelNone, nil
	case n < 10:
		return LevelTrace, nil
	default:
		return slog.Level((n+9)/10-2) * 4, nil
	}
}

// LevelName returns the name of the highest named level that l reaches, as the
// platform's dashboards know it: TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL
// or NONE.
func LevelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "TRACE"
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARNING"
	case l < LevelCritical:
		return "ERROR"
	case l < LevelNone:
		return "CRITICAL"
	default:
		return "NONE"
	}
}
