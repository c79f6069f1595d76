package tbconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// masked is sent to the platform in place of a secret. When it comes back it
// means the secret that is in use.
const masked = "********"

// isSecret reports whether the name of a key says that its value is a secret.
// Names of all protocols count, in any spelling: access_token, AccessToken,
// keyPassword, communityString.
func isSecret(key string) bool {
	name := strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))
	for _, end := range [...]string{
		"password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "accesstoken", "accesstokens", "apikey", "apikeys",
		"authkey", "privkey", "secretkey", "credentialsvalue", "community", "communitystring", "authorization", "bearer", "pincode",
	} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return name == "token" || name == "tokens" || name == "pin" || name == "cookie"
}

// inText matches a secret in a connection string such as DSN=x;PWD=y.
var inText = regexp.MustCompile(`(?i)(^|[;?&\s])(pwd|password|accesstoken|access_token|token|secret|api_?key)\s*=\s*[^;&\s]`)

// holdsSecret reports whether a text is a private key, an address with a
// password, or a connection string with one.
func holdsSecret(text string) bool {
	if strings.Contains(text, "PRIVATE KEY-----") || inText.MatchString(text) {
		return true
	}
	if !strings.Contains(text, "://") || !strings.Contains(text, "@") {
		return false
	}
	u, err := url.Parse(text)
	if err != nil {
		return true // it looks like one, and cannot be taken apart
	}
	_, has := u.User.Password()
	return has
}

// mask returns raw with its secrets masked. What is not JSON becomes null.
func mask(raw json.RawMessage) json.RawMessage {
	v, err := decodeAny(raw)
	if err != nil {
		return json.RawMessage("null")
	}
	out, err := encode(maskValue(v, false))
	if err != nil {
		return json.RawMessage("null")
	}
	return out
}

// maskValue masks v, all texts and numbers of it if it is a secret itself.
func maskValue(v any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		for key, field := range v {
			v[key] = maskValue(field, secret || isSecret(key))
		}
	case []any:
		for i, element := range v {
			v[i] = maskValue(element, secret)
		}
	case string:
		if v != "" && (secret || holdsSecret(v)) {
			return masked
		}
	case json.Number:
		if secret {
			return masked
		}
	}
	return v
}

// unmask returns raw with the secrets of old in the places of those that are
// masked. It fails if one is masked that old does not have.
func unmask(raw, old json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(raw, []byte(masked)) {
		return raw, nil
	}
	v, err := decodeAny(raw)
	if err != nil {
		return nil, err
	}
	before, err := decodeAny(old)
	if err != nil {
		before = nil
	}
	if v, err = unmaskValue(v, before, ""); err != nil {
		return nil, err
	}
	return encode(v)
}

func unmaskValue(v, old any, path string) (_ any, err error) {
	switch v := v.(type) {
	case map[string]any:
		before, _ := old.(map[string]any)
		for key, field := range v {
			if v[key], err = unmaskValue(field, before[key], join(path, key)); err != nil {
				return nil, err
			}
		}
	case []any:
		before, _ := old.([]any)
		for i, element := range v {
			if v[i], err = unmaskValue(element, counterpart(v, before, i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return nil, err
			}
		}
	case string:
		if v != masked {
			return v, nil
		}
		switch old.(type) {
		case string, json.Number:
			return old, nil
		}
		return nil, fmt.Errorf("%s: is masked, and it is not known which secret it stands for", path)
	}
	return v, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// counterpart returns the element of old that element i of list was before. Of
// objects that is the one with the same names and addresses, lest a password goes
// to another device after a change of the order.
func counterpart(list, old []any, i int) any {
	fields, ok := list[i].(map[string]any)
	if !ok {
		if i < len(old) {
			return old[i]
		}
		return nil
	}
	same := func(element any) bool {
		other, ok := element.(map[string]any)
		return ok && sameIdentity(fields, other)
	}
	if i < len(old) && same(old[i]) {
		return old[i]
	}
	at := slices.IndexFunc(old, same)
	if at < 0 || slices.ContainsFunc(old[at+1:], same) {
		return nil // none, or one of several
	}
	return old[at]
}

func sameIdentity(a, b map[string]any) bool {
	return !slices.ContainsFunc([]string{"id", "name", "host", "ip", "address", "url", "port", "deviceName", "username", "type", "key", "tag", "topicFilter"}, func(key string) bool {
		return a[key] != masked && fmt.Sprint(a[key]) != fmt.Sprint(b[key])
	})
}

// decodeAny decodes one JSON document, with numbers as they are.
func decodeAny(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one document")
	}
	return v, nil
}
