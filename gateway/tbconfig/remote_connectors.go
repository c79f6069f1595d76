package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gridlinks/iot-gateway/tbclient"
)

// takeConnectors takes the attributes of connectors, and the list of those that
// are to run. If there is a list, connectors that it does not have are not taken.
func (s *Service) takeConnectors(ctx context.Context, values map[string]json.RawMessage, active json.RawMessage, listed bool) {
	var names []string
	var err error
	if listed {
		names, err = parseActive(active)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		o, bad := parseOffer(key, values[key])
		switch {
		case strings.Contains(key, "deleted") || o == nil && bad == nil:
			s.handled[key] = string(values[key])
		case bad != nil:
			s.settle(key, values[key], bad)
		case listed && err == nil && !slices.Contains(names, o.Name):
			s.log.Debug("connector of the platform is not active", "connector", o.Name)
		default:
			s.settleConnector(key, values[key], s.takeConnector(ctx, o))
		}
	}
	if !listed {
		return
	}
	if err == nil {
		err = s.takeActive(ctx, names)
	}
	s.settle(connectorsKey, active, err)
	s.announceConnectors()
}

// settleConnector is settle for a connector. What is in effect is told in any case
// but an error: it is what the platform has sent, or what is newer.
func (s *Service) settleConnector(key string, raw json.RawMessage, err error) {
	s.settle(key, raw, err)
	s.announceConnectors()
}

// parseActive returns the names in a list of connectors.
func parseActive(raw json.RawMessage) ([]string, error) {
	var names []string
	if json.Unmarshal(raw, &names) != nil || names == nil {
		return nil, errors.New("is not a list of names")
	}
	if slices.Contains(names, "") {
		return nil, errors.New("has a name that is empty")
	}
	return names, nil
}

// takeConnector brings the configuration of a connector into effect.
func (s *Service) takeConnector(ctx context.Context, o *offer) error {
	old := s.counterpart(o)
	e := Entry{Name: o.Name, Type: o.Type, Class: o.Class, Key: o.Key}
	var before json.RawMessage
	if old != nil {
		before = old.raw
		if e.Key == nil {
			e.Key = old.Key
		}
	}
	var err error
	if e.Configuration, err = s.fileFor(o, old); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	path := resolve(s.dir, e.Configuration)
	if old != nil && old.err == nil && olderThanFile(o.fields, path) {
		return errOlder
	}
	content, err := o.content()
	if err != nil {
		return err
	}
	text, err := encode(content)
	if err == nil {
		text, err = unmask(text, before)
	}
	if err != nil {
		return err
	}
	next := &placed{Entry: e, raw: text, accepted: o.raw}
	if s.make(next); next.err != nil {
		return next.err
	}
	return s.exchange(ctx, old, next, path, o)
}

// exchange puts next in the place of old, which may be nil or have another name,
// and writes the files.
func (s *Service) exchange(ctx context.Context, old, next *placed, path string, o *offer) error {
	w := s.writing()
	defer w.discard()
	w.stamp = laterOf(stampOf(o.fields), s.path)
	if same := old != nil && old.name == next.name && old.same(next) && old.Configuration == next.Configuration; !same {
		if err := w.stagePretty(path, next.raw, stampOf(o.fields)); err != nil {
			return err
		}
	}
	doc, err := s.withEntry(old, next.Entry)
	if err != nil {
		return err
	}
	err = s.adopt(doc, w, func(File) (taken steps, err error) {
		if old != nil && old.name != next.name { // both may need the same port
			if _, dup := s.placed[next.name]; dup {
				return nil, fmt.Errorf("name: %q is that of another connector", next.name)
			}
			s.remove(old.name)
			taken = append(taken, func() { s.bring(ctx, old) })
		}
		if err := s.run(ctx, next); err != nil {
			return taken, err
		}
		return append(taken, func() { s.bringBack(ctx, old, next) }), nil
	})
	if err == nil {
		s.noteSum(path)
		s.setLevels()
		s.report(inFile(next.name), nil)
	}
	return err
}

// bringBack undoes that next has taken the place of old.
func (s *Service) bringBack(ctx context.Context, old, next *placed) {
	if old == nil || old.name != next.name {
		s.remove(next.name)
		return
	}
	s.bring(ctx, old)
}

// bring makes a connector run that was there before.
func (s *Service) bring(ctx context.Context, old *placed) {
	again := *old
	again.err = nil
	if s.make(&again); again.err == nil {
		again.err = s.run(ctx, &again)
	}
	if again.err != nil {
		s.log.Error("connector that was there before could not be restored", "connector", old.name, "error", again.err)
	}
}

// counterpart returns the connector that an offer is about: the one with the same
// id, or else with the same name; nil if there is none.
func (s *Service) counterpart(o *offer) *placed {
	if id := idOf(o.Configuration); id != "" {
		for _, p := range s.placed {
			if idOf(p.raw) == id {
				return p
			}
		}
	}
	return s.placed[o.Name]
}

func idOf(raw json.RawMessage) string {
	var c struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &c) // without one there is none
	return c.ID
}

// fileFor returns the name of the file for an offer. A connector that has one keeps
// it, unless the platform names another one; a new name must be in the folder, and
// free.
func (s *Service) fileFor(o *offer, old *placed) (string, error) {
	if old != nil && old.Configuration != "" && (o.File == "" || o.File == old.Configuration) {
		return old.Configuration, nil
	}
	name := o.File
	if name == "" {
		name = fileNameFor(o.Name)
		for n := 2; s.usedBy(name, old) != ""; n++ {
			name = strings.TrimSuffix(fileNameFor(o.Name), ".json") + fmt.Sprintf("_%d.json", n)
		}
	}
	if err := checkFileName(name); err != nil {
		return "", err
	}
	if other := s.usedBy(name, old); other != "" {
		return "", fmt.Errorf("%q is the file of the connector %q", name, other)
	}
	return name, nil
}

// usedBy returns the connector beside old that has a file.
func (s *Service) usedBy(name string, old *placed) string {
	path := strings.ToLower(filepath.Clean(resolve(s.dir, name)))
	for _, p := range s.placed {
		if p != old && p.Configuration != "" && strings.ToLower(filepath.Clean(resolve(s.dir, p.Configuration))) == path {
			return p.name
		}
	}
	return ""
}

// withEntry returns the document with e in the place of old, or at the end.
func (s *Service) withEntry(old *placed, e Entry) (document, error) {
	var entries []map[string]json.RawMessage
	if raw := s.doc["connectors"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, fmt.Errorf("connectors of %s: %w", FileName, err)
		}
	}
	fields, err := e.fields()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(entries, func(have map[string]json.RawMessage) bool { return old != nil && nameOf(have) == old.Name })
	if at < 0 {
		return s.doc.with("connectors", append(entries, fields))
	}
	merged := maps.Clone(entries[at])
	delete(merged, "configurationJson")
	delete(merged, "class")
	delete(merged, "key")
	maps.Copy(merged, fields)
	entries[at] = merged
	return s.doc.with("connectors", entries)
}

func nameOf(entry map[string]json.RawMessage) (name string) {
	_ = json.Unmarshal(entry["name"], &name) // one without a name is no match
	return name
}

// fields returns e as it is in tb_gateway.json.
func (e Entry) fields() (map[string]json.RawMessage, error) {
	raw, err := encode(struct {
		Type          string          `json:"type"`
		Name          string          `json:"name"`
		Configuration string          `json:"configuration"`
		Class         string          `json:"class,omitempty"`
		Key           json.RawMessage `json:"key,omitempty"`
	}{e.Type, e.Name, e.Configuration, e.Class, e.Key})
	if err != nil {
		return nil, err
	}
	return object(raw)
}

// takeActive makes the named connectors run, and no others. Those that are not
// known are asked for. Only if all of them run, or are at least known, are others
// removed.
func (s *Service) takeActive(ctx context.Context, names []string) error {
	var missing []string
	for _, name := range names {
		if s.placed[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if err := s.fetchConnectors(ctx, missing); err != nil {
			return fmt.Errorf("no connector is removed, because not all in the list can run: %w", err)
		}
	}
	var gone []*placed
	for _, name := range slices.Sorted(maps.Keys(s.placed)) {
		if !slices.Contains(names, name) {
			gone = append(gone, s.placed[name])
		}
	}
	if len(gone) == 0 {
		return nil
	}
	var entries []map[string]json.RawMessage
	if err := json.Unmarshal(s.doc["connectors"], &entries); err != nil {
		return fmt.Errorf("connectors of %s: %w", FileName, err)
	}
	entries = slices.DeleteFunc(entries, func(e map[string]json.RawMessage) bool { return !slices.Contains(names, nameOf(e)) })
	doc, err := s.doc.with("connectors", entries)
	if err != nil {
		return err
	}
	return s.adopt(doc, s.writing(), func(File) (taken steps, err error) {
		for _, p := range gone {
			s.remove(p.name)
			taken = append(taken, func() { s.bring(ctx, p) })
		}
		return taken, nil
	})
}

// fetchConnectors asks the platform for connectors and brings them into effect.
func (s *Service) fetchConnectors(ctx context.Context, names []string) error {
	for _, name := range names {
		if strings.Contains(name, ",") {
			return fmt.Errorf("connector %q: its attribute cannot be asked for because of the comma", name)
		}
	}
	_, points, err := s.client.OwnAttributes(ctx, nil, names)
	if err != nil {
		return err
	}
	found := make(map[string]json.RawMessage, len(points))
	for _, p := range points {
		found[p.Key] = document1(p.Value)
	}
	var errs []error
	for _, name := range names {
		if err := s.fetched(ctx, name, found[name]); err != nil {
			errs = append(errs, fmt.Errorf("connector %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// fetched brings a connector into effect that was asked for.
func (s *Service) fetched(ctx context.Context, name string, raw json.RawMessage) error {
	if len(raw) == 0 {
		return errors.New("the platform has no configuration of it")
	}
	o, err := parseOffer(name, raw)
	if err == nil && o == nil {
		err = errors.New("its attribute is not the configuration of a connector")
	}
	if err == nil {
		err = s.takeConnector(ctx, o)
	}
	if errors.Is(err, errOlder) {
		err = nil
	}
	s.settleConnector(name, raw, err)
	return err
}

// fetchAll asks for all shared attributes of the gateway.
func (s *Service) fetchAll(ctx context.Context, c *tbclient.Client) {
	_, points, err := c.OwnAttributes(ctx, nil, nil)
	if err != nil {
		s.log.Debug("the shared attributes of the gateway could not be asked for", "error", err)
		return
	}
	s.inbox.put(c, points, nil)
}
