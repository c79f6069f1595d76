package tbconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
)

// A document is tb_gateway.json as it is on the disk, with all that this package
// does not understand, so that it can be written again. It is not changed, but
// copied.
type document map[string]json.RawMessage

// section returns the object under key, which is empty if there is none.
func (d document) section(key string) (map[string]json.RawMessage, error) {
	fields, err := object(d[key])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return fields, nil
}

// with returns a copy of d with another value of key.
func (d document) with(key string, value any) (document, error) {
	raw, err := encode(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	next := maps.Clone(d)
	if next == nil {
		next = make(document)
	}
	next[key] = raw
	return next, nil
}

// text returns the content of the file.
func (d document) text() ([]byte, error) { return pretty(d) }

// canonical returns a form in which equal documents are equal.
func (d document) canonical() string {
	raw, err := encode(d)
	if err != nil {
		return ""
	}
	return canonical(raw)
}

// file returns what d says, with the variables of the environment, which never
// become a part of d.
func (d document) file(path string, getenv func(string) string) (File, error) {
	var f File
	raw, err := d.text()
	if err == nil {
		err = decode(path, raw, &f)
	}
	if err == nil {
		err = f.prepare(getenv)
	}
	return f, err
}

// parseDocument returns the document of a file's content. Errors have the form
// path:line:column: text.
func parseDocument(path string, raw []byte) (document, error) {
	var d document
	if err := decode(path, raw, &d); err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("%s: is not an object", path)
	}
	return d, nil
}

// prepare completes f by the environment, and by what has another place than in
// its section.
func (f *File) prepare(getenv func(string) string) error {
	if f.ThingsBoard.HandleRenaming == nil {
		f.ThingsBoard.HandleRenaming = f.HandleRenaming
	}
	return f.ThingsBoard.environment(getenv)
}

var errNoObject = errors.New("is not an object")

// object returns the fields of a JSON object, and none of nothing.
func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	if len(raw) == 0 {
		return make(map[string]json.RawMessage), nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, errNoObject
	}
	return fields, nil
}

// encode is json.Marshal without the escapes for web pages.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// pretty is encode for people.
func pretty(v any) ([]byte, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// canonical returns a form of raw in which equal documents are equal: keys are
// sorted, and numbers and texts are as they are.
func canonical(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return string(raw)
	}
	b, err := encode(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// readText reads a file, without the mark that some editors put at the beginning.
func readText(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	return bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), err
}
