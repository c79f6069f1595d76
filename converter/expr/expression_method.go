package expr

import "strings"

// textMethod returns the numbers of arguments of a method, or false if there is
// no such method.
func textMethod(name string) (least, most int, ok bool) {
	switch name {
	case "lower", "upper":
		return 0, 0, true
	case "strip", "lstrip", "rstrip":
		return 0, 1, true
	case "startswith", "endswith", "join":
		return 1, 1, true
	case "split":
		return 0, 2, true
	case "replace":
		return 2, 3, true
	default:
		return 0, 0, false
	}
}

func (ev *evaluation) method(n *node, v Operand, args []Operand) Operand {
	if v.kind != TextOperand {
		return ev.fail(n, "%s has no method %s", kindName(v), n.op)
	}
	if !ev.spend(n, len(v.str)/256) {
		return Operand{}
	}
	if n.op == "join" {
		return ev.join(n, v.str, args[0])
	}
	count := -1
	if last := len(args) - 1; n.op == "split" && last == 1 || n.op == "replace" && last == 2 {
		if !args[last].whole() {
			return ev.fail(n, "%s with %s for a number", n.op, kindName(args[last]))
		}
		count = max(clampIndex(args[last], maxText+1), -1)
		args = args[:last]
	}
	var given [2]string
	optional := n.op != "replace" && n.op != "startswith" && n.op != "endswith"
	for i, arg := range args {
		if arg.kind != TextOperand && (arg.kind != None || !optional) {
			return ev.fail(n, "%s with %s", n.op, kindName(arg))
		}
		given[i] = arg.str
	}
	blank := len(args) == 0 || args[0].kind == None
	switch n.op {
	case "lower":
		return ev.text(n, strings.ToLower(v.str))
	case "upper":
		return ev.text(n, strings.ToUpper(v.str))
	case "startswith":
		return BoolOf(strings.HasPrefix(v.str, given[0]))
	case "endswith":
		return BoolOf(strings.HasSuffix(v.str, given[0]))
	case "replace":
		if replacedLength(v.str, given[0], given[1], count) > maxText {
			return ev.fail(n, "the text has more than %d bytes", maxText)
		}
		return ev.text(n, strings.Replace(v.str, given[0], given[1], count))
	case "split":
		return ev.split(n, v.str, given[0], blank, count)
	default:
		return ev.text(n, strip(n.op, v.str, given[0], blank))
	}
}

func replacedLength(text, old, with string, count int) int {
	found := strings.Count(text, old)
	if count >= 0 {
		found = min(found, count)
	}
	return len(text) + found*(len(with)-len(old))
}

func strip(method, text, cutset string, blank bool) string {
	if blank {
		cutset = pythonBlanks
	}
	switch method {
	case "lstrip":
		return strings.TrimLeft(text, cutset)
	case "rstrip":
		return strings.TrimRight(text, cutset)
	default:
		return strings.Trim(text, cutset)
	}
}

const pythonBlanks = " \t\n\r\v\f\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

func (ev *evaluation) split(n *node, text, separator string, blank bool, count int) Operand {
	if !blank && separator == "" {
		return ev.fail(n, "split at nothing")
	}
	var parts []Operand
	for {
		if len(parts) > maxItems {
			return ev.fail(n, "the list has more than %d elements", maxItems)
		}
		at, size := strings.Index(text, separator), len(separator)
		if blank {
			if text = strings.TrimLeft(text, pythonBlanks); text == "" {
				break
			}
			at, size = strings.IndexAny(text, pythonBlanks), 1
		}
		if at < 0 || count == 0 {
			parts = append(parts, TextOf(text))
			break
		}
		parts = append(parts, TextOf(text[:at]))
		if blank {
			size = 0 // the blanks are trimmed
		}
		text = text[at+size:]
		count--
	}
	return ev.list(n, parts)
}

func (ev *evaluation) join(n *node, separator string, list Operand) Operand {
	items, ok := ev.items(n, list)
	if !ok {
		return Operand{}
	}
	var b strings.Builder
	for i, item := range items {
		if item.kind != TextOperand {
			return ev.fail(n, "join of %s", kindName(item))
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(item.str)
		if b.Len() > maxText {
			break
		}
	}
	return ev.text(n, b.String())
}
