package tbconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkFileName refuses a name, given by the platform, that is not one that the
// file of a connector can have.
func checkFileName(name string) error {
	if slices.Contains(ownFiles(), strings.ToLower(name)) {
		return fmt.Errorf("%q is a file of the gateway itself", name)
	}
	return checkInFolder(name)
}

// checkInFolder refuses a name that is not simply one of a JSON file in the folder,
// on any operating system.
func checkInFolder(name string) error {
	switch {
	case len(name) > 200:
		return errors.New("the name of the file is longer than 200 bytes")
	case strings.ContainsAny(name, "/\\:*?\"<>|") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%q is not the name of a file in the folder of the configuration", name)
	case strings.HasPrefix(name, ".") || !strings.HasSuffix(strings.ToLower(name), ".json"):
		return fmt.Errorf("%q is not the name of a .json file", name)
	default:
		return nil
	}
}

// ownFiles returns the files in the folder that are not those of connectors.
func ownFiles() []string {
	return []string{FileName, "logs.json", "statistics.json", "list.json", "connected_devices.json", "persistent_keys.json", "renamed_devices.json"}
}

// fileNameFor returns the name of the file for a connector, in the way of the
// original: in lower case, and with underscores.
func fileNameFor(connector string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r > 0x7f:
			return r
		default:
			return '_'
		}
	}, strings.ToLower(connector))
	if name == "" {
		name = "connector"
	}
	return name + ".json"
}
