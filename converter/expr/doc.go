// Package expr is the closed language in which configuration files say how a
// message becomes values: ${path} templates over JSON, [from:to] slices of
// bytes, type names, timestamps, expressions of a Python subset, and regular
// expressions on topics. Nothing in it runs code, and everything is compiled
// when the configuration is loaded.
//
// # Templates and paths
//
// [Compile] splits a text at its ${...} placeholders. What stands between the
// braces is first looked up as a key of the message's top level, whatever its
// characters, so that ${a.b} finds the key "a.b"; then as a path in the dialect
// of Python's jsonpath_rw, of which the first match counts:
//
//	a.b  a."b c"  a['b c']    member                a,b  a['b','c']    several members
//	a[0]  a[-1]               element               a.*                every member
//	a[1:3]  a[:-1]  a[*]      elements              a..b               b at any depth
//	$  `this`  `parent`       top, itself, above    (a|b).c            of both, in this order
//	a where b                 a, if it has a b
//
// The operators bind tighter in the order "..", ".", "|", "where"; brackets
// apply to everything to their left: a|b[0] is (a|b)[0]. A slice takes what is
// no list for a list of one. Filters, functions, steps of slices, and the
// intersection &, which has no results in jsonpath_rw either, are reported by
// [Template.Check] with their column. Two things are wider than in jsonpath_rw:
// names may begin with a digit and have any characters but the marks of the
// dialect, and what would raise an exception there (the index of a number, the
// parent of the top) finds nothing. In
// a text that is not a path as it stands, each segment with blanks is a name. A
// placeholder whose value is null or absent is missing, and what is made of it
// is left out: the word None never appears in a value.
//
// # Values
//
// [Type] converts to the type that a configuration names. Integers are exact;
// one that does not fit 64 bits stays text. Objects and arrays are JSON. Text
// that does not convert is kept as text, and reported as [Kept].
//
// [Reference] is the mode in which a [Scratch] converts as the Python gateway
// does instead.
//
// [Fields] finds the values of many paths in one pass, for messages of which only
// little is of interest.
//
// # Times
//
// [TimeField] finds the time of a message, and [TimeFormat] reads it: numbers by
// their magnitude as seconds, milliseconds, microseconds or nanoseconds, and
// texts in the forms that Python's dateutil reads. In two things it differs: a
// date that begins with a year of four digits is in the order of ISO 8601 even
// with DayFirst, and a date that is not complete is not completed with today's.
//
// # Expressions
//
// [Expression] evaluates what configurations of the Python gateway leave to
// eval, such as value * 9 / 5 + 32, within limits of steps and sizes.
//
// The values of this package are safe for concurrent use, except [Scratch].
package expr
