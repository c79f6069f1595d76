package opcua

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// idStart is the beginning of a node identifier, whose equals signs separate
// nothing.
var idStart = regexp.MustCompile(`^(?:\$\{)?(?:ns=[0-9]+;|nsu=[^;]*;)?[isgb]=`)

// parseReserved reads the parameters of the methods get and set. Those of get are
// the name of a node. Those of set are the name and the value, separated by "; ",
// ";=", "=" or a blank, of which the first of these that there is counts; or an
// object with the members node and value.
func parseReserved(method string, params json.RawMessage) (name string, v telemetry.Value, err error) {
	var text string
	if err := json.Unmarshal(params, &text); err != nil {
		return reservedObject(method, params)
	}
	if method == "get" {
		name = strings.TrimSuffix(strings.TrimSpace(text), ";")
		if name == "" {
			err = errors.New("the node is missing")
		}
		return name, v, err
	}
	start := len(idStart.FindString(text))
	for _, sep := range []string{"; ", ";=", "=", " "} {
		before, after, ok := strings.Cut(text[start:], sep)
		if !ok {
			continue
		}
		name = strings.TrimSpace(text[:start] + before)
		if name == "" {
			break
		}
		return name, telemetry.String(strings.TrimSpace(after)), nil
	}
	return "", v, fmt.Errorf("%q is not of the form node; value", text)
}

func reservedObject(method string, params json.RawMessage) (string, telemetry.Value, error) {
	var o struct {
		Node, Key string
		Value     json.RawMessage
	}
	if err := json.Unmarshal(params, &o); err != nil || o.Node+o.Key == "" {
		return "", telemetry.Value{}, errors.New(`the parameters are neither a text nor an object like {"node": "ns=2;i=5", "value": 7}`)
	}
	if o.Node == "" {
		o.Node = o.Key
	}
	if method == "get" {
		return o.Node, telemetry.Value{}, nil
	}
	if len(bytes.TrimSpace(o.Value)) == 0 {
		return "", telemetry.Value{}, errors.New("value: is missing")
	}
	v, err := jsonValue(o.Value)
	return o.Node, v, err
}
