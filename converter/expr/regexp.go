package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// A Regexp is a regular expression in the syntax of Go (RE2), which runs in time
// linear in the text, extended by what configuration files use of Python's: a
// look-behind (?<=A) at the start and a look-ahead (?=B) at the end. The text
// around the match is then matched outside a group, which finds the same:
// alternatives are tried in the same order, and a look-behind has a fixed width,
// so that the leftmost A is before the leftmost match.
type Regexp struct {
	text  string
	re    *regexp.Regexp
	whole int // the group that holds the match
}

// CompileRegexp compiles text. The error names what cannot be expressed:
// negative look-around, look-around elsewhere than at the ends, and
// back-references.
func CompileRegexp(text string) (*Regexp, error) {
	flags, body := cutFlags(text)
	pattern := strings.ReplaceAll(body, `\Z`, `\z`)
	before, pattern, err := cutLookBehind(pattern, flags)
	if err != nil {
		return nil, err
	}
	pattern, after, err := cutLookAhead(pattern)
	if err != nil {
		return nil, err
	}
	if before == "" && after == "" {
		if err := noLookAround(pattern); err != nil {
			return nil, err
		}
		re, err := regexp.Compile(flags + pattern)
		if err != nil {
			return nil, fmt.Errorf("regular expression %q: %w", text, err)
		}
		return &Regexp{text: text, re: re}, nil
	}
	for _, piece := range [...]string{before, pattern, after} {
		if err := noLookAround(piece); err != nil {
			return nil, err
		}
		if _, err := regexp.Compile(flags + piece); err != nil {
			return nil, fmt.Errorf("regular expression %q: %w", text, err)
		}
	}
	whole := 1
	if before != "" {
		re, err := regexp.Compile(before)
		if err != nil {
			return nil, fmt.Errorf("regular expression %q: %w", text, err)
		}
		whole += re.NumSubexp()
	}
	re, err := regexp.Compile(flags + "(?:" + before + ")(" + pattern + ")(?:" + after + ")")
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	return &Regexp{text: text, re: re, whole: whole}, nil
}

// String returns the text that r was compiled from.
func (r *Regexp) String() string { return r.text }

// Match reports whether r matches somewhere in text.
func (r *Regexp) Match(text string) bool { return r.re.MatchString(text) }

// MatchStart reports whether the first match in text is at its start.
func (r *Regexp) MatchStart(text string) bool {
	m := r.re.FindStringSubmatchIndex(text)
	return m != nil && m[2*r.whole] == 0
}

// Find returns what the first match in text stands for: its last group that took
// part in the match, or the whole match if there is none.
func (r *Regexp) Find(text string) (found string, ok bool) {
	m := r.re.FindStringSubmatchIndex(text)
	if m == nil {
		return "", false
	}
	for g := len(m)/2 - 1; g > 0; g-- {
		if g != r.whole && m[2*g] >= 0 {
			return text[m[2*g]:m[2*g+1]], true
		}
	}
	return text[m[2*r.whole]:m[2*r.whole+1]], true
}

// FindWhole returns the whole of the first match in text.
func (r *Regexp) FindWhole(text string) (found string, ok bool) {
	m := r.re.FindStringSubmatchIndex(text)
	if m == nil {
		return "", false
	}
	return text[m[2*r.whole]:m[2*r.whole+1]], true
}

// cutFlags splits off flags such as (?i) at the start of a pattern.
func cutFlags(pattern string) (flags, rest string) {
	if !strings.HasPrefix(pattern, "(?") {
		return "", pattern
	}
	end := strings.IndexByte(pattern, ')')
	if end < 0 || strings.Trim(pattern[2:end], "imsU") != "" {
		return "", pattern
	}
	return pattern[:end+1], pattern[end+1:]
}

// cutLookBehind splits off a look-behind at the start of a pattern.
func cutLookBehind(pattern, flags string) (before, rest string, err error) {
	const mark = "(?<="
	if !strings.HasPrefix(pattern, mark) {
		return "", pattern, nil
	}
	end := closing(pattern, 0)
	if end < 0 {
		return "", "", fmt.Errorf("regular expression %q: the look-behind is not closed", pattern)
	}
	before, rest = pattern[len(mark):end], pattern[end+1:]
	if hasAlternatives(rest) {
		return "", "", fmt.Errorf("regular expression %q: alternatives after the look-behind (?<=%s) are not supported; put them in a group", pattern, before)
	}
	if rest != "" && strings.ContainsRune("*+?{", rune(rest[0])) {
		return "", "", fmt.Errorf("regular expression %q: the look-behind (?<=%s) cannot be repeated", pattern, before)
	}
	tree, err := syntax.Parse(flags+before, syntax.Perl)
	if err != nil {
		return "", "", fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	if _, fixed := width(tree); !fixed {
		return "", "", fmt.Errorf("regular expression %q: the look-behind (?<=%s) has no fixed width", pattern, before)
	}
	return before, rest, nil
}

// cutLookAhead splits off a look-ahead at the end of a pattern.
func cutLookAhead(pattern string) (rest, after string, err error) {
	const mark = "(?="
	at := lastGroup(pattern)
	if at < 0 || !strings.HasPrefix(pattern[at:], mark) {
		return pattern, "", nil
	}
	if hasAlternatives(pattern) {
		return "", "", fmt.Errorf("regular expression %q: alternatives beside the look-ahead %s are not supported; put them in a group", pattern, pattern[at:])
	}
	return pattern[:at], pattern[at+len(mark) : len(pattern)-1], nil
}

// noLookAround returns an error that names the first look-around or
// back-reference in pattern.
func noLookAround(pattern string) error {
	var problem error
	scan(pattern, func(i, _ int) bool {
		for _, mark := range [...]string{"(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P=", "(?#", "(?("} {
			if strings.HasPrefix(pattern[i:], mark) {
				problem = fmt.Errorf("regular expression: %s at %q is not supported here", mark, pattern[i:])
				return false
			}
		}
		if pattern[i] == '\\' && i+1 < len(pattern) && pattern[i+1] >= '1' && pattern[i+1] <= '9' {
			problem = fmt.Errorf("regular expression: the back-reference at %q is not supported", pattern[i:])
			return false
		}
		return true
	})
	return problem
}

// scan calls f for each character of pattern that stands for itself or begins an
// operator: not for those in a class [...], and once for an escape. The depth is
// that of the groups around it; a parenthesis counts as outside its group.
func scan(pattern string, f func(i, depth int) bool) {
	depth := 0
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if c == ')' {
			depth--
		}
		if !f(i, depth) {
			return
		}
		switch c {
		case '(':
			depth++
		case '\\':
			i++
		case '[':
			i = classEnd(pattern, i)
		}
	}
}

// classEnd returns the index of the ] that ends the class at i.
func classEnd(pattern string, i int) int {
	i++
	if i < len(pattern) && pattern[i] == '^' {
		i++
	}
	for first := true; i < len(pattern); i, first = i+1, false {
		switch {
		case pattern[i] == '\\':
			i++
		case pattern[i] == ']' && !first:
			return i
		}
	}
	return i
}

// closing returns the index of the parenthesis that closes the group at start,
// or -1.
func closing(pattern string, start int) int {
	end := -1
	scan(pattern[start:], func(i, depth int) bool {
		if pattern[start+i] == ')' && depth == 0 {
			end = start + i
		}
		return end < 0
	})
	return end
}

// lastGroup returns the start of the top-level group that ends the pattern, or
// -1 if the pattern does not end with one.
func lastGroup(pattern string) int {
	start, last := -1, -1
	scan(pattern, func(i, depth int) bool {
		if depth == 0 && pattern[i] == '(' {
			start = i
		}
		if depth == 0 && pattern[i] == ')' && i == len(pattern)-1 {
			last = start
		}
		return true
	})
	return last
}

func hasAlternatives(pattern string) bool {
	found := false
	scan(pattern, func(i, depth int) bool {
		found = depth == 0 && pattern[i] == '|'
		return !found
	})
	return found
}

// width returns the number of characters that re matches, if it is always the
// same.
func width(re *syntax.Regexp) (n int, fixed bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), true
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, true
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 0, true
	case syntax.OpCapture:
		return width(re.Sub[0])
	case syntax.OpRepeat:
		n, fixed = width(re.Sub[0])
		return n * re.Min, fixed && re.Min == re.Max
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w, ok := width(sub)
			if !ok {
				return 0, false
			}
			n += w
		}
		return n, true
	case syntax.OpAlternate:
		n, fixed = width(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			if w, ok := width(sub); !ok || w != n {
				return 0, false
			}
		}
		return n, fixed
	default:
		return 0, false
	}
}
