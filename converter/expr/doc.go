// Package expr is the closed language in which configuration files say how a
// message becomes values: ${path} templates over JSON, [from:to] slices of
// bytes, type names, timestamps, arithmetic, and regular expressions on topics.
// Nothing in it runs code, and everything is compiled when the configuration is
// loaded.
//
// # Templates and paths
//
// [Compile] splits a text at its ${...} placeholders. What stands between the
// braces is first looked up as a key of the message's top level, whatever its
// characters, so that ${a.b} finds the key "a.b"; then as a path in the dialect
// of Python's jsonpath_rw, of which the first match counts:
//
//	a.b        member            list[0] list[-1]   element
//	a."b c"    quoted member     list[1:3] list[*]  elements
//	a["b c"]   the same          a.* a..b           every member, at any depth
//
// Filters, functions and unions are not part of it. A placeholder whose value
// is null or absent is missing, and what is made of it is left out: the word
// None never appears in a value.
//
// # Values
//
// [Type] converts to the type that a configuration names. Integers are exact;
// one that does not fit 64 bits stays text. Objects and arrays are JSON. Text
// that does not convert is kept as text, and reported as [Kept].
//
// The values of this package are safe for concurrent use, except [Scratch].
package expr
