package expr

import (
	"fmt"
	"unicode/utf8"
)

// A SyntaxError says where a text is not an expression, and why.
type SyntaxError struct {
	Text   string // the whole expression
	Column int    // of the mistake, in characters, from 1
	Reason string
}

// Error names the expression and the column.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%q: column %d: %s", e.Text, e.Column, e.Reason)
}

// syntaxError returns the error at the byte offset at of text.
func syntaxError(text string, at int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Text: text, Column: utf8.RuneCountInString(text[:min(at, len(text))]) + 1, Reason: fmt.Sprintf(format, args...)}
}
