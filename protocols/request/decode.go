package request

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/telemetry"
)

const maxDepth = 100 // of XML elements

// A decoder makes JSON of bodies.
type decoder struct {
	format   string // "" for that of the Content-Type
	comma    rune
	noHeader bool
}

// formatOf returns the format of a body: "json", "xml", "csv" or "text". A text that
// nobody has declared to be one is JSON, or a mistake.
func (d decoder) formatOf(contentType string) string {
	if d.format != "" {
		return d.format
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return "json"
	case strings.HasSuffix(media, "/xml") || strings.HasSuffix(media, "+xml") && media != "application/xhtml+xml":
		return "xml"
	case media == "text/csv":
		return "csv"
	default:
		return "json"
	}
}

// decode returns a body as JSON. What is JSON already is not looked at closely.
func (d decoder) decode(format string, body []byte) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch format {
	case "xml":
		return xmlToJSON(body)
	case "csv":
		return d.csvToJSON(body)
	case "text":
		text := telemetry.AppendString([]byte(`{"text":`), strings.TrimSpace(string(body)))
		return append(text, '}'), nil
	default:
		if !utf8.Valid(body) {
			body = bytes.ToValidUTF8(body, nil)
		}
		return body, nil
	}
}

// csvToJSON returns the rows as a list of objects. Values without a name are left out.
func (d decoder) csvToJSON(body []byte) ([]byte, error) {
	r := csv.NewReader(bytes.NewReader(bytes.ToValidUTF8(body, nil)))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	r.TrimLeadingSpace = true
	if d.comma != 0 {
		r.Comma = d.comma
	}
	var names []string
	out := []byte{'['}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return append(out, ']'), nil
		}
		if err != nil {
			return nil, fmt.Errorf("body is not CSV: %w", err)
		}
		if names == nil && !d.noHeader {
			for _, name := range row {
				names = append(names, strings.TrimSpace(name))
			}
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '{')
		first := true
		for i, cell := range row {
			name := strconv.Itoa(i)
			if !d.noHeader {
				if i >= len(names) {
					break
				}
				name = names[i]
			}
			cell = strings.TrimSpace(cell)
			if cell == "" {
				continue // nothing was measured
			}
			if !first {
				out = append(out, ',')
			}
			first = false
			out = append(telemetry.AppendString(out, name), ':')
			out = telemetry.AppendString(out, cell)
		}
		out = append(out, '}')
	}
}

// An element is one of XML. Children of one name are a list.
type element struct {
	names    []string // of attributes and children, in order
	attrs    map[string]string
	children map[string][]*element
	text     []byte
}

// xmlToJSON returns the document as an object with its root element.
func xmlToJSON(body []byte) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = charset
	root := newElement()
	stack := []*element{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("body is not XML: %w", err)
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(stack) > maxDepth {
				return nil, fmt.Errorf("body: XML is nested deeper than %d elements", maxDepth)
			}
			stack = append(stack, top.start(t))
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text = append(top.text, t...)
		}
	}
	if len(root.names) == 0 {
		return nil, errors.New("body is not XML: there is no element")
	}
	root.text = nil // around the root element
	return root.appendJSON(nil), nil
}

func newElement() *element {
	return &element{attrs: make(map[string]string), children: make(map[string][]*element)}
}

// start returns a new child.
func (e *element) start(t xml.StartElement) *element {
	child := newElement()
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		name := "@" + a.Name.Local
		if _, again := child.attrs[name]; !again {
			child.names = append(child.names, name)
		}
		child.attrs[name] = a.Value
	}
	name := t.Name.Local
	if e.children[name] == nil {
		e.names = append(e.names, name)
	}
	e.children[name] = append(e.children[name], child)
	return child
}

// appendJSON appends e: a text if it has nothing else, null if it is empty, or an
// object.
func (e *element) appendJSON(dst []byte) []byte {
	text := strings.TrimSpace(string(e.text))
	if len(e.names) == 0 {
		if text == "" {
			return append(dst, "null"...)
		}
		return telemetry.AppendString(dst, text)
	}
	dst = append(dst, '{')
	for i, name := range e.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(telemetry.AppendString(dst, name), ':')
		switch list := e.children[name]; {
		case list == nil:
			dst = telemetry.AppendString(dst, e.attrs[name])
		case len(list) == 1:
			dst = list[0].appendJSON(dst)
		default:
			dst = append(dst, '[')
			for j, child := range list {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = child.appendJSON(dst)
			}
			dst = append(dst, ']')
		}
	}
	if text != "" {
		dst = telemetry.AppendString(append(dst, `,"#text":`...), text)
	}
	return append(dst, '}')
}

// charset reads the encodings besides UTF-8 that are one byte a character.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "us-ascii", "ascii", "iso-8859-1", "latin1", "latin-1":
		b, err := io.ReadAll(r) // from memory
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		for _, c := range b {
			out.WriteRune(rune(c))
		}
		return &out, nil
	default:
		return nil, fmt.Errorf("encoding %q is not one of utf-8, iso-8859-1, us-ascii", name)
	}
}
