package tbconfig

import (
	"encoding/json"
	"errors"
	"fmt"
)

// An offer is the configuration of a connector from the platform.
type offer struct {
	Name          string          `json:"name"`
	Type          string          `json:"type"`
	Class         string          `json:"class"`
	Key           json.RawMessage `json:"key"`
	File          string          `json:"configuration"`
	Configuration json.RawMessage `json:"configurationJson"`
	fields        map[string]json.RawMessage
	raw           json.RawMessage
}

// parseOffer reads the value of an attribute. It returns nil for one that is about
// something else than a connector.
func parseOffer(key string, raw json.RawMessage) (*offer, error) {
	fields, err := object(raw)
	if err != nil || len(fields["configurationJson"]) == 0 {
		return nil, nil //nolint:nilerr,nilnil // an attribute of somebody else
	}
	o := &offer{fields: fields, raw: raw}
	if err := json.Unmarshal(raw, o); err != nil {
		return nil, fmt.Errorf("name, type, class and configuration: %w", place(raw, err))
	}
	if o.Name == "" {
		o.Name = key
	}
	if _, err := object(o.Configuration); err != nil {
		return nil, fmt.Errorf("configurationJson: %w", err)
	}
	if o.Type == "" {
		return nil, errors.New("type: is missing")
	}
	return o, nil
}

// content returns the content of the file: the configuration, with what the
// platform keeps beside it.
func (o *offer) content() (map[string]json.RawMessage, error) {
	content, err := object(o.Configuration)
	if err != nil {
		return nil, fmt.Errorf("configurationJson: %w", err)
	}
	for _, key := range []string{"logLevel", "enableRemoteLogging", "configVersion", "reportStrategy", "id"} {
		if v := o.fields[key]; len(v) > 0 && string(v) != "null" {
			content[key] = v
		}
	}
	content["name"], err = encode(o.Name)
	return content, err
}
