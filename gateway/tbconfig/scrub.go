package tbconfig

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// scrub returns text with the secrets of documents masked.
func scrub(text string, docs ...json.RawMessage) string {
	for _, doc := range docs {
		v, err := decodeAny(doc)
		if err != nil {
			continue
		}
		for _, secret := range secretsIn(nil, v, false) {
			text = strings.ReplaceAll(text, secret, masked)
		}
	}
	return text
}

// secretsIn appends the texts that maskValue would mask.
func secretsIn(dst []string, v any, secret bool) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			dst = secretsIn(dst, v[key], secret || isSecret(key))
		}
	case []any:
		for _, element := range v {
			dst = secretsIn(dst, element, secret)
		}
	case string:
		if secret && len(v) >= minSecret || holdsSecret(v) {
			dst = append(dst, v)
		}
	case json.Number:
		if secret && len(v) >= minSecret {
			dst = append(dst, v.String())
		}
	}
	return dst
}

// minSecret is the length from which a secret is looked for in texts: shorter ones
// are parts of words.
const minSecret = 4
