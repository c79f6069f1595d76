package expr

import "encoding/binary"

// maxScan is how deep a document may be nested to be scanned.
const maxScan = 100

type tokenKind uint8

const (
	noToken tokenKind = iota
	nullToken
	trueToken
	falseToken
	numberToken
	textToken   // between its quotes, without an escape
	parsedToken // to be parsed: an object, an array, or a text with an escape
)

// A token is a value in the document.
type token struct {
	kind     tokenKind
	from, to int
}

// The functions below read from doc[i] on, and return where what they read ends, or
// -1 if it is not there.

func skipBlanks(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r') {
		i++
	}
	return i
}

// skipMark reads a byte, after blanks.
func skipMark(doc []byte, i int, mark byte) int {
	if i < len(doc) && doc[i] == mark {
		return i + 1
	}
	return skipMarkAfter(doc, skipBlanks(doc, i), mark)
}

func skipMarkAfter(doc []byte, i int, mark byte) int {
	if i < len(doc) && doc[i] == mark {
		return i + 1
	}
	return -1
}

// object reads the members of an object, and keeps those that m looks for.
func (r *Found) object(i int, m *members, depth int) int {
	doc := r.doc
	if end := skipMark(doc, i, '}'); end >= 0 {
		return end
	}
	for {
		from := skipMark(doc, i, '"')
		if from < 0 {
			return -1
		}
		end := skipName(doc, from)
		if end < 0 {
			return -1
		}
		if i = skipMark(doc, end, ':'); i < 0 {
			return -1
		}
		i = skipBlanks(doc, i)
		if x := m.find(doc[from : end-1]); x != nil {
			i = r.keep(i, x, depth)
		} else {
			i, _ = skipValue(doc, i, depth)
		}
		if i < 0 {
			return -1
		}
		next := skipMark(doc, i, ',')
		if next < 0 {
			return skipMark(doc, i, '}')
		}
		i = next
	}
}

// keep reads the value of a member that is looked for. Of several of a name the
// first counts.
func (r *Found) keep(i int, x *field, depth int) int {
	t := &r.tokens[x.slot]
	if t.kind != noToken {
		i, _ = skipValue(r.doc, i, depth)
		return i
	}
	t.from = i
	if x.sub != nil && i < len(r.doc) && r.doc[i] == '{' && depth > 0 {
		t.kind = parsedToken
		t.to = r.object(i+1, x.sub, depth-1)
		return t.to
	}
	end, kind := skipValue(r.doc, i, depth)
	t.kind, t.to = kind, end
	return end
}

// skipName reads a name, which has no escapes, with the quote after it.
func skipName(doc []byte, i int) int {
	for ; i < len(doc); i++ {
		switch b := doc[i]; {
		case b == '"':
			return i + 1
		case b < ' ' || b == '\\':
			return -1
		}
	}
	return -1
}

// skipValue reads a value that is nested up to depth levels deep.
func skipValue(doc []byte, i, depth int) (int, tokenKind) {
	if i >= len(doc) {
		return -1, noToken
	}
	switch b := doc[i]; {
	case b == '"':
		return skipText(doc, i+1)
	case b == '-' || isDigit(b):
		return skipNumber(doc, i), numberToken
	case b == '{' || b == '[':
		if depth == 0 {
			return -1, noToken
		}
		return skipCompound(doc, i, depth-1), parsedToken
	case b == 't':
		return skipWord(doc, i, "true"), trueToken
	case b == 'f':
		return skipWord(doc, i, "false"), falseToken
	default:
		return skipWord(doc, i, "null"), nullToken
	}
}

func skipWord(doc []byte, i int, word string) int {
	if len(doc)-i < len(word) || string(doc[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// skipCompound reads an object or an array.
func skipCompound(doc []byte, i, depth int) int {
	last, object := byte(']'), doc[i] == '{'
	if object {
		last = '}'
	}
	i++
	if end := skipMark(doc, i, last); end >= 0 {
		return end
	}
	for {
		if object {
			if i = skipMark(doc, i, '"'); i < 0 {
				return -1
			}
			if i, _ = skipText(doc, i); i < 0 {
				return -1
			}
			if i = skipMark(doc, i, ':'); i < 0 {
				return -1
			}
		}
		if i, _ = skipValue(doc, skipBlanks(doc, i), depth); i < 0 {
			return -1
		}
		next := skipMark(doc, i, ',')
		if next < 0 {
			return skipMark(doc, i, last)
		}
		i = next
	}
}

// skipText reads a text with the quote after it.
func skipText(doc []byte, i int) (int, tokenKind) {
	kind := textToken
	for i < len(doc) {
		for len(doc)-i >= 8 && plainText(binary.LittleEndian.Uint64(doc[i:])) {
			i += 8
		}
		if i == len(doc) {
			break
		}
		switch b := doc[i]; {
		case b == '"':
			return i + 1, kind
		case b < ' ':
			return -1, noToken
		case b == '\\':
			size := escape(doc[i:])
			if size == 0 {
				return -1, noToken
			}
			i += size
			kind = parsedToken
		default:
			i++
		}
	}
	return -1, noToken
}

// plainText reports whether none of eight bytes is a quote, a backslash or a control
// character. It may take a byte that is not ASCII for one.
func plainText(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, back := w^ones*'"', w^ones*'\\'
	return (w|(w-ones*' ')|(quote-ones)|(back-ones))&high == 0
}

// escape returns the length of the escape sequence that b begins with, or 0.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, d := range b[2:6] {
			if !isDigit(d) && (d|0x20 < 'a' || d|0x20 > 'f') {
				return 0
			}
		}
		return 6
	default:
		return 0
	}
}

// skipNumber reads a number.
func skipNumber(doc []byte, i int) int {
	if doc[i] == '-' {
		i++
	}
	first := i
	i = skipDigits(doc, i)
	if i == first || doc[first] == '0' && i > first+1 {
		return -1
	}
	if i < len(doc) && doc[i] == '.' {
		first = i + 1
		if i = skipDigits(doc, first); i == first {
			return -1
		}
	}
	if i < len(doc) && doc[i]|0x20 == 'e' {
		if i++; i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		first = i
		if i = skipDigits(doc, first); i == first {
			return -1
		}
	}
	return i
}

func skipDigits(doc []byte, i int) int {
	for i < len(doc) && isDigit(doc[i]) {
		i++
	}
	return i
}
