package tbtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
)

// A callKey names a call under way; of the gateway's own device the name is
// Gateway.
type callKey struct {
	device string
	id     int64
}

// Call makes a remote procedure call to a device, which must be online, and
// returns the data of the reply.
func (s *Server) Call(ctx context.Context, device, method string, params any) (json.RawMessage, error) {
	se, err := s.sessionOf(device)
	if err != nil {
		return nil, err
	}
	return s.call(ctx, device, func(id int64) error {
		msg, err := json.Marshal(map[string]any{
			"device": device,
			"data":   map[string]any{"id": id, "method": method, "params": params},
		})
		if err != nil {
			return err
		}
		return se.send("v1/gateway/rpc", msg)
	})
}

// CallGateway makes a remote procedure call to the gateway's own device and
// returns the reply.
func (s *Server) CallGateway(ctx context.Context, method string, params any) (json.RawMessage, error) {
	se, err := s.anySession()
	if err != nil {
		return nil, err
	}
	return s.call(ctx, Gateway, func(id int64) error {
		msg, err := json.Marshal(map[string]any{"method": method, "params": params})
		if err != nil {
			return err
		}
		return se.send("v1/devices/me/rpc/request/"+strconv.FormatInt(id, 10), msg)
	})
}

// Send publishes any message to the gateway.
func (s *Server) Send(topic string, payload []byte) error {
	se, err := s.anySession()
	if err != nil {
		return err
	}
	return se.send(topic, payload)
}

func (s *Server) call(ctx context.Context, device string, send func(id int64) error) (json.RawMessage, error) {
	ch := make(chan []byte, 1)
	s.mu.Lock()
	s.lastCall++
	key := callKey{device, s.lastCall}
	s.calls[key] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.calls, key)
		s.mu.Unlock()
	}()
	if err := send(key.id); err != nil {
		return nil, fmt.Errorf("tbtest: call: %w", err)
	}
	select {
	case reply := <-ch:
		return reply, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SetShared sets shared attributes of a device, and tells nobody.
func (s *Server) SetShared(device string, values map[string]any) {
	s.event(func() { maps.Copy(s.device(device, "default").shared, values) })
}

// PushAttributes sets shared attributes of a device and tells the gateway, if
// the device is online.
func (s *Server) PushAttributes(device string, values map[string]any) error {
	s.SetShared(device, values)
	return s.notice(device, values)
}

// DeleteAttributes deletes shared attributes of a device and tells the gateway,
// if the device is online.
func (s *Server) DeleteAttributes(device string, keys ...string) error {
	s.event(func() {
		for _, k := range keys {
			delete(s.device(device, "default").shared, k)
		}
	})
	return s.notice(device, map[string]any{"deleted": keys})
}

func (s *Server) notice(device string, data map[string]any) error {
	se, err := s.sessionOf(device)
	if err != nil {
		return nil //nolint:nilerr // a device that is offline asks when it is back
	}
	msg, err := json.Marshal(map[string]any{"device": device, "data": data})
	if err != nil {
		return fmt.Errorf("tbtest: attributes: %w", err)
	}
	return se.send("v1/gateway/attributes", msg)
}

// sessionOf returns the session that device is online on.
func (s *Server) sessionOf(device string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.record.devices[device]
	if d == nil || d.session == nil {
		return nil, fmt.Errorf("tbtest: device %q is not online", device)
	}
	return d.session, nil
}

// anySession returns the latest session.
func (s *Server) anySession() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var latest *session
	for se := range s.sessions {
		if latest == nil || se.number > latest.number {
			latest = se
		}
	}
	if latest == nil {
		return nil, fmt.Errorf("tbtest: no gateway is connected")
	}
	return latest, nil
}

// replied takes the reply of a device.
func (s *Server) replied(n node) {
	device, _ := n.member("device")
	id, _ := n.member("id")
	number, err := id.asLong()
	data, ok := n.member("data")
	if err != nil || !ok {
		return
	}
	s.deliver(callKey{device.text, number}, appendNode(nil, data))
}

// ownReplied takes the reply of the gateway itself.
func (s *Server) ownReplied(number string, payload []byte) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return
	}
	s.deliver(callKey{Gateway, id}, payload)
}

func (s *Server) deliver(key callKey, reply []byte) {
	s.event(func() {
		s.stats.Replies++
		ch := s.calls[key]
		delete(s.calls, key)
		if ch == nil {
			s.stats.Unasked++
			return
		}
		ch <- reply
	})
}
