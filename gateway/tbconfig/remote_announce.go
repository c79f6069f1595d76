package tbconfig

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// announceAll tells the platform the configuration in effect.
func (s *Service) announceAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announce()
}

func (s *Service) announce() {
	s.announceSection(generalKey)
	s.announceSection(storageKey)
	s.echo.tell(grpcKey, json.RawMessage(`{"enabled":false}`))
	s.announceLogs()
	if s.cfg.Version != "" {
		s.echo.tellValue(versionKey, telemetry.String(s.cfg.Version))
	}
	s.announceConnectors()
	s.announceProblems()
}

// announceTo tells another platform, if it is to be told anything.
func (s *Service) announceTo(c *tbclient.Client) {
	if s.unwatch != nil {
		s.echo.use(c)
	}
}

// announceSection tells a section of tb_gateway.json: as the platform has sent it,
// or as it is in the file, with the time of that.
func (s *Service) announceSection(key string) {
	section := sectionOf(key)
	if a, ok := s.accepted[key]; ok && a.section == canonical(s.doc[section]) {
		return
	}
	fields, err := s.doc.section(section)
	if err != nil {
		s.log.Warn("configuration cannot be told to the platform", "attribute", key, "error", err)
		return
	}
	fields["ts"] = modified(s.path)
	if raw, err := encode(fields); err == nil {
		s.echo.tell(key, mask(raw))
	}
}

// announceProblems tells what is not in effect, an object of texts by attribute or
// file, which is empty if all is.
func (s *Service) announceProblems() {
	if raw, err := encode(s.problems); err == nil {
		s.echo.tell(problemsKey, raw)
	}
}

// announceConnectors tells which connectors run, and the configuration of each.
func (s *Service) announceConnectors() {
	names := slices.Sorted(maps.Keys(s.placed))
	if raw, err := encode(append([]string{}, names...)); err == nil {
		s.echo.tell(connectorsKey, raw)
	}
	for _, name := range names {
		if p := s.placed[name]; p.err == nil {
			s.echo.tell(name, mask(s.announcement(p)))
		}
	}
}

// announcement returns what the platform is told of a connector: what it has sent
// itself, or the same made of the file.
func (s *Service) announcement(p *placed) json.RawMessage {
	if p.accepted != nil {
		return p.accepted
	}
	content, err := object(p.raw)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	fields := make(map[string]any)
	for _, key := range []string{"logLevel", "enableRemoteLogging", "reportStrategy", "configVersion"} {
		if v, ok := content[key]; ok {
			fields[key] = v
			delete(content, key)
		}
	}
	fields["type"], fields["name"], fields["configurationJson"], fields["id"] = p.Type, p.name, content, content["id"]
	fields["ts"] = modified(s.path)
	if p.Class != "" {
		fields["class"] = p.Class
	}
	if p.Configuration != "" {
		fields["configuration"] = p.Configuration
		fields["ts"] = modified(resolve(s.dir, p.Configuration))
	}
	raw, err := encode(fields)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return raw
}
