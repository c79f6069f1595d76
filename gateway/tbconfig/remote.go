package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The attributes that carry a part of the configuration. All others that hold an
// object with a configurationJson carry that of a connector.
const (
	generalKey    = "general_configuration"
	storageKey    = "storage_configuration"
	grpcKey       = "grpc_configuration"
	logsKey       = "logs_configuration"
	connectorsKey = "active_connectors"
	levelKey      = "RemoteLoggingLevel"
	versionKey    = "Version"
	problemsKey   = "configuration_errors"
)

// setRemote starts or ends remote configuration; s.mu is held.
func (s *Service) setRemote(on bool) {
	switch {
	case on && s.unwatch == nil:
		s.unwatch = s.watch(s.client)
		if s.manager != nil { // the client may be connected, and does not ask by itself
			go s.fetchAll(s.running, s.client)
		}
		s.announceTo(s.client)
	case !on && s.unwatch != nil:
		s.unwatch()
		s.unwatch = nil
		s.echo.use(nil)
	}
}

func (s *Service) stopRemote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setRemote(false)
}

// watch fills the inbox with the attributes that c is told.
func (s *Service) watch(c *tbclient.Client) (cancel func()) {
	return c.WatchOwnAttributes(func(points []telemetry.Point, deleted []string) { s.inbox.put(c, points, deleted) })
}

// takeAttributes brings what is in the inbox into effect, in the order that the
// parts depend on each other. What is wrong with one harms no other.
func (s *Service) takeAttributes(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unwatch == nil {
		return
	}
	from := s.client
	values := make(map[string]json.RawMessage)
	for key, v := range s.inbox.take(from) {
		raw := document1(v)
		switch {
		case raw == nil: // deleted, and not known any more: a value to come is a new one
			delete(s.handled, key)
		case s.handled[key] != string(raw):
			values[key] = raw
		}
	}
	for _, key := range []string{generalKey, logsKey, levelKey, storageKey, grpcKey} {
		if raw, ok := values[key]; ok {
			s.takeSection(ctx, key, raw)
			delete(values, key)
		}
	}
	active, listed := values[connectorsKey]
	delete(values, connectorsKey)
	s.takeConnectors(ctx, values, active, listed)
}

// document1 returns the JSON document of an attribute's value, which may also be
// in a text; nil if there is none.
func document1(v telemetry.Value) json.RawMessage {
	if !v.Valid() {
		return nil
	}
	if v.Kind() == telemetry.KindString {
		if text := strings.TrimSpace(v.String()); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			return json.RawMessage(text)
		}
	}
	return v.AppendJSON(nil)
}

// takeSection brings an attribute into effect that has a name of its own.
func (s *Service) takeSection(ctx context.Context, key string, raw json.RawMessage) {
	var take func(context.Context, json.RawMessage) error
	switch key {
	case generalKey:
		take = s.takeGeneral
	case storageKey:
		take = s.takeStorage
	case grpcKey:
		take = s.takeGRPC
	case logsKey:
		take = s.takeLogs
	case levelKey:
		take = s.takeLevel
	}
	s.settle(key, raw, take(ctx, raw))
}

// settle notes the outcome of an attribute, and tells it to the platform. The
// value counts as handled in any case, so that it is not tried again with each
// connection.
func (s *Service) settle(key string, raw json.RawMessage, err error) {
	s.handled[key] = string(raw)
	if errors.Is(err, errOlder) {
		s.log.Info("configuration from the platform is not used, it is older than the file", "attribute", key)
		return
	}
	s.report(key, err, raw)
	if err == nil {
		s.accepted[key] = accepted{raw, canonical(s.doc[sectionOf(key)])}
		s.echo.tell(key, mask(raw))
	}
}

// An accepted value is what the platform has sent, and is told again as long as
// the section in the file is as it was then.
type accepted struct {
	raw     json.RawMessage
	section string
}

// sectionOf returns the section of tb_gateway.json that an attribute is about.
func sectionOf(key string) string {
	switch key {
	case generalKey:
		return "thingsboard"
	case storageKey:
		return "storage"
	default:
		return ""
	}
}

// valid returns the fields of raw, which must be an object, with the secrets of
// old in the place of masked ones.
func valid(raw, old json.RawMessage) (map[string]json.RawMessage, error) {
	if !json.Valid(raw) {
		return nil, errors.New("is not JSON")
	}
	raw, err := unmask(raw, old)
	if err != nil {
		return nil, err
	}
	return object(raw)
}

// takeGRPC takes the configuration of gRPC connectors, of which there are none.
func (s *Service) takeGRPC(_ context.Context, raw json.RawMessage) error {
	fields, err := valid(raw, nil)
	if err != nil {
		return err
	}
	var enabled bool
	if v := fields["enabled"]; len(v) > 0 && json.Unmarshal(v, &enabled) != nil {
		return errors.New("enabled: is neither true nor false")
	}
	if enabled {
		return errors.New("enabled: connectors that use gRPC are not available")
	}
	return nil
}

// takeStorage takes the section storage.
func (s *Service) takeStorage(ctx context.Context, raw json.RawMessage) error {
	fields, err := valid(raw, s.doc["storage"])
	if err != nil {
		return err
	}
	delete(fields, "ts")
	doc, err := s.doc.with("storage", fields)
	if err != nil {
		return err
	}
	return s.adopt(doc, s.writing(), func(next File) (steps, error) { return s.applyStorage(ctx, next.Storage) })
}
