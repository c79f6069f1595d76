package monitor_test

import (
	"fmt"
	"strconv"
	"strings"
)

// scraped is what a scrape says, read by the rules of the text format and without
// the code that wrote it.
type scraped struct {
	types  map[string]string
	help   map[string]string
	values map[string]float64 // by the name and the labels as text: name{a=x,b=y}
	order  []string           // metrics, in order of their first line
}

// parse reads the text format, version 0.0.4, and is strict: each metric has one
// HELP and one TYPE before its samples, its lines stand together, and no sample
// comes twice.
func parse(text string) (*scraped, error) {
	s := &scraped{types: map[string]string{}, help: map[string]string{}, values: map[string]float64{}}
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line does not end")
	}
	current := ""
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		var err error
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name, help, _ := strings.Cut(line[len("# HELP "):], " ")
			if _, dup := s.help[name]; dup {
				err = fmt.Errorf("second HELP")
			}
			s.help[name] = help
			s.order = append(s.order, name)
			current = name
		case strings.HasPrefix(line, "# TYPE "):
			name, typ, _ := strings.Cut(line[len("# TYPE "):], " ")
			if _, dup := s.types[name]; dup || name != current || typ != "counter" && typ != "gauge" {
				err = fmt.Errorf("bad TYPE")
			}
			s.types[name] = typ
		default:
			err = s.sample(line, current)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
	}
	return s, nil
}

func (s *scraped) sample(line, current string) error {
	end := strings.IndexAny(line, "{ ")
	if end < 0 || line[:end] != current || s.types[current] == "" {
		return fmt.Errorf("a sample that is not of the metric above it")
	}
	key, rest := line[:end], line[end:]
	if rest[0] == '{' {
		labels, after, err := parseLabels(rest[1:])
		if err != nil {
			return err
		}
		key, rest = key+"{"+strings.Join(labels, ",")+"}", after
	}
	value, err := strconv.ParseFloat(strings.TrimPrefix(rest, " "), 64)
	if err != nil {
		return err
	}
	if _, dup := s.values[key]; dup {
		return fmt.Errorf("the sample comes twice")
	}
	s.values[key] = value
	return nil
}

// parseLabels reads a="x",b="y"} and returns what follows.
func parseLabels(text string) (labels []string, after string, err error) {
	for {
		name, rest, ok := strings.Cut(text, `="`)
		if !ok || name == "" || strings.ContainsAny(name, `{}", \`) {
			return nil, "", fmt.Errorf("bad label")
		}
		var value strings.Builder
		for {
			if rest == "" {
				return nil, "", fmt.Errorf("a label does not end")
			}
			c := rest[0]
			rest = rest[1:]
			if c == '"' {
				break
			}
			if c == '\\' {
				if rest == "" || !strings.ContainsRune(`\n"`, rune(rest[0])) {
					return nil, "", fmt.Errorf("bad escape")
				}
				c = map[byte]byte{'\\': '\\', 'n': '\n', '"': '"'}[rest[0]]
				rest = rest[1:]
			}
			value.WriteByte(c)
		}
		labels = append(labels, name+"="+value.String())
		switch {
		case strings.HasPrefix(rest, "}"):
			return labels, rest[1:], nil
		case strings.HasPrefix(rest, ","):
			text = rest[1:]
		default:
			return nil, "", fmt.Errorf("labels do not end")
		}
	}
}
