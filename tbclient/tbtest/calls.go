package tbtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	return s.call(ctx, device, nil, func(id int64) error {
		msg, err := s.cfg.codec().rpcRequest(device, id, method, params)
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
	return s.call(ctx, Gateway, nil, func(id int64) error { return se.callOwn(id, method, params) })
}

func (se *session) callOwn(id int64, method string, params any) error {
	msg, err := json.Marshal(map[string]any{"method": method, "params": params})
	if err != nil {
		return err
	}
	topic := "v1/devices/me/rpc/request/"
	if f, ok := se.subscriptions.first(ownRPCFilters()...); ok {
		topic = f[:len(f)-1]
	}
	return se.send(topic+strconv.FormatInt(id, 10), msg)
}

// ownRPCFilters are the filters of calls to a device, by preference.
func ownRPCFilters() []string {
	return []string{"v1/devices/me/rpc/request/+", "v2/r/req/+", "v2/r/req/j/+"}
}

// Rename renames a device, and tells the gateway so by a call to its own device.
// It waits for the reply, and for a gateway that is subscribed to calls before;
// if the connection ends the call is made again on the next one.
func (s *Server) Rename(ctx context.Context, from, to string) (json.RawMessage, error) {
	err := errors.New("tbtest: rename: there is no such device, or the name is taken")
	s.event(func() {
		d, taken := s.record.devices[from], s.record.devices[to]
		if d == nil || taken != nil || from == Gateway {
			return
		}
		delete(s.record.devices, from)
		s.record.devices[to], err = d, nil
	})
	if err != nil {
		return nil, err
	}
	return s.notifyGateway(ctx, "gateway_device_renamed", map[string]string{from: to})
}

// Delete deletes a device, and tells the gateway as Rename does.
func (s *Server) Delete(ctx context.Context, device string) (json.RawMessage, error) {
	existed := false
	s.event(func() {
		_, existed = s.record.devices[device]
		delete(s.record.devices, device)
	})
	if !existed {
		return nil, fmt.Errorf("tbtest: delete: there is no device %q", device)
	}
	return s.notifyGateway(ctx, "gateway_device_deleted", device)
}

// notifyGateway makes a call that is kept until the gateway has replied to it.
func (s *Server) notifyGateway(ctx context.Context, method string, value any) (json.RawMessage, error) {
	params := value
	if !s.cfg.PlainNotices {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("tbtest: %s: %w", method, err)
		}
		params = string(text)
	}
	for {
		se, err := s.waitForSession(ctx, func(se *session) bool {
			_, ok := se.subscriptions.first(ownRPCFilters()...)
			return ok
		})
		if err != nil {
			return nil, err
		}
		reply, err := s.call(ctx, Gateway, se, func(id int64) error { return se.callOwn(id, method, params) })
		if err == nil || ctx.Err() != nil {
			return reply, err
		}
	}
}

// waitForSession waits for a session for which cond holds.
func (s *Server) waitForSession(ctx context.Context, cond func(*session) bool) (*session, error) {
	for {
		changed := s.change()
		if se, err := s.anySession(); err == nil && cond(se) {
			return se, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Send publishes any message to the gateway.
func (s *Server) Send(topic string, payload []byte) error {
	se, err := s.anySession()
	if err != nil {
		return err
	}
	return se.send(topic, payload)
}

// call makes a call. It fails when se ends; nil: only when ctx does.
func (s *Server) call(ctx context.Context, device string, se *session, send func(id int64) error) (json.RawMessage, error) {
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
	var ended <-chan struct{}
	if se != nil {
		ended = se.ended
	}
	select {
	case reply := <-ch:
		return reply, nil
	case <-ended:
		return nil, errEndSession
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// deliver takes the reply to a call.
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
		if se.established && !se.provision && (latest == nil || se.number > latest.number) {
			latest = se
		}
	}
	if latest == nil {
		return nil, fmt.Errorf("tbtest: no gateway is connected")
	}
	return latest, nil
}
