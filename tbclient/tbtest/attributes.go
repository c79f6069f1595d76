package tbtest

import (
	"encoding/json"
	"fmt"
	"maps"
)

// SetShared sets shared attributes of a device, and tells nobody.
func (s *Server) SetShared(device string, values map[string]any) {
	s.event(func() { maps.Copy(s.device(device, "default").shared, values) })
}

// PushAttributes sets shared attributes of a device and tells the gateway, if
// the device is online. The gateway's own device, Gateway, is told if it has
// subscribed to its attributes.
func (s *Server) PushAttributes(device string, values map[string]any) error {
	s.SetShared(device, values)
	return s.notice(device, values, nil)
}

// DeleteAttributes deletes shared attributes of a device and tells the gateway,
// as PushAttributes does.
func (s *Server) DeleteAttributes(device string, keys ...string) error {
	s.event(func() {
		for _, k := range keys {
			delete(s.device(device, "default").shared, k)
		}
	})
	return s.notice(device, nil, keys)
}

// notice tells what was set or deleted.
func (s *Server) notice(device string, set map[string]any, deleted []string) error {
	if device == Gateway {
		return s.ownNotice(set, deleted)
	}
	se, err := s.sessionOf(device)
	if err != nil {
		return nil //nolint:nilerr // a device that is offline asks when it is back
	}
	msg, err := s.cfg.codec().attributeNotice(device, set, deleted)
	if err != nil {
		return fmt.Errorf("tbtest: attributes: %w", err)
	}
	return se.send("v1/gateway/attributes", msg)
}

func (s *Server) ownNotice(set map[string]any, deleted []string) error {
	se, err := s.anySession()
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	topic, ok := se.subscriptions.first("v1/devices/me/attributes", "v2/a", "v2/a/j")
	if !ok {
		return nil
	}
	data := set
	if set == nil {
		data = map[string]any{"deleted": deleted}
	}
	msg, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("tbtest: attributes: %w", err)
	}
	return se.send(topic, msg)
}
