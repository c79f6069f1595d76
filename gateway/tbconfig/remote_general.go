package tbconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// takeGeneral takes the section thingsboard. Keys that it does not have stay as
// they are, those that are null go.
func (s *Service) takeGeneral(ctx context.Context, raw json.RawMessage) error {
	given, err := valid(raw, s.doc["thingsboard"])
	if err != nil {
		return err
	}
	w := s.writing()
	w.stamp = laterOf(stampOf(given), s.path)
	older := olderThanFile(given, s.path)
	delete(given, "ts")
	merged, err := s.doc.section("thingsboard")
	if err != nil {
		return err
	}
	if v, ok := given["stateFolder"]; ok && canonical(v) != canonical(merged["stateFolder"]) {
		return errors.New("stateFolder: cannot be changed by the platform")
	}
	if err := checkNames(given, merged); err != nil {
		return err
	}
	if err := s.takeCommands(given); err != nil {
		return err
	}
	for key, v := range given {
		if string(v) == "null" {
			delete(merged, key)
		} else {
			merged[key] = v
		}
	}
	doc, err := s.doc.with("thingsboard", merged)
	if err != nil {
		return err
	}
	return s.adopt(doc, w, func(next File) (steps, error) {
		if older && connection(&next.ThingsBoard) != connection(&s.file.ThingsBoard) {
			return nil, errOlder // such as the order of a platform to leave it, after the return
		}
		if _, err := next.ThingsBoard.Filtering.filter(s.dir); err != nil && next.ThingsBoard.Filtering != s.file.ThingsBoard.Filtering {
			return nil, err
		}
		return s.applyThingsBoard(ctx, next)
	})
}

// checkNames refuses names of files outside the folder, unless they are those in
// use already.
func checkNames(given, before map[string]json.RawMessage) error {
	for section, key := range map[string]string{"statistics": "configuration", "deviceFiltering": "filterFile"} {
		fields, err := object(given[section])
		if err != nil || len(fields[key]) == 0 {
			continue // what has another form is found later
		}
		old, err := object(before[section])
		if err == nil && canonical(old[key]) == canonical(fields[key]) {
			continue
		}
		var name string
		if json.Unmarshal(fields[key], &name) != nil {
			return fmt.Errorf("%s.%s: is not a text", section, key)
		}
		if err := checkInFolder(name); name != "" && err != nil {
			return fmt.Errorf("%s.%s: %w", section, key, err)
		}
	}
	return nil
}

// takeCommands takes the custom commands of statistics out of the section: the
// platform names what may be run only where the program allows it.
func (s *Service) takeCommands(given map[string]json.RawMessage) error {
	fields, err := object(given["statistics"])
	if err != nil || len(fields["commands"]) == 0 {
		return nil //nolint:nilerr // what has another form is found later
	}
	var commands []json.RawMessage
	if json.Unmarshal(fields["commands"], &commands) != nil {
		return errors.New("statistics.commands: is not a list")
	}
	delete(fields, "commands")
	if len(commands) > 0 {
		s.log.Warn("commands for statistics from the platform are ignored, this program does not run any", "key", "statistics.commands")
	}
	given["statistics"], err = encode(fields)
	return err
}
