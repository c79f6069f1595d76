package logging

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// stamp is how the time of a record is written.
const stamp = "2006-01-02 15:04:05.000"

// appendHead appends what a line begins with. The dashboards take the level
// from between the bars, and show what begins with the first bracket.
func appendHead(dst []byte, t time.Time, level slog.Level, s Source) []byte {
	dst = t.AppendFormat(dst, stamp)
	dst = append(append(append(dst, " - |"...), LevelName(level)...), "| - ["...)
	dst = appendSafe(dst, s.Name)
	return append(dst, "] - "...)
}

// appendAttr appends a as " key=value", those of a group one after the other.
func appendAttr(dst []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range v.Group() {
			dst = appendAttr(dst, group, member)
		}
		return dst
	}
	if a.Key == "" && v.Kind() == slog.KindAny && v.Any() == nil {
		return dst
	}
	dst = append(appendSafe(appendSafe(append(dst, ' '), group), a.Key), '=')
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().Format(time.RFC3339Nano)
	}
	if text == "" || strings.ContainsFunc(text, needsQuotes) {
		return strconv.AppendQuote(dst, text)
	}
	return append(dst, text...)
}

func needsQuotes(r rune) bool {
	return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsPrint(r)
}

// appendSafe appends text with everything escaped that could end the line or
// steer a terminal.
func appendSafe(dst []byte, text string) []byte {
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			q := strconv.QuoteRune(r)
			dst = append(dst, q[1:len(q)-1]...)
			continue
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
