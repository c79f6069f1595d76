package tbconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// places returns where the value of each key of a JSON document ends, by paths
// such as "mapping[2].converter.type", as far as the document can be read.
func places(raw []byte) map[string]int64 {
	at := make(map[string]int64)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	_ = walk(dec, "", at)
	return at
}

// walk reads a value and notes the places in it.
func walk(dec *json.Decoder, path string, at map[string]int64) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if path != "" {
		at[path] = dec.InputOffset()
	}
	switch token {
	case json.Delim('{'):
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			if err := walk(dec, strings.TrimPrefix(fmt.Sprintf("%s.%v", path, key), "."), at); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := walk(dec, fmt.Sprintf("%s[%d]", path, i), at); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.Token() // the closing one
	return err
}

// aKey matches the path that an error begins with.
var aKey = regexp.MustCompile(`^[A-Za-z_$][\w$ -]*(\[\d+\])*(\.[\w$ -]+(\[\d+\])*)*`)

// keyOf returns the path that the text of an error begins with, or "", and the
// longest part of it that is in the document.
func keyOf(text string, at map[string]int64) (key string, offset int64) {
	key = aKey.FindString(text)
	if !strings.HasPrefix(text[len(key):], ":") {
		return "", 0
	}
	for part := key; part != ""; part = part[:max(0, strings.LastIndexAny(part, ".["))] {
		if offset, ok := at[part]; ok {
			return key, offset
		}
	}
	return "", 0
}
