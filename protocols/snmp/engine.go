package snmp

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// engineID returns the octets of an engine identifier in hexadecimal, which may
// start with 0x and have colons. An empty one stays empty.
func engineID(s string) (string, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(s, ":", "")), "0x")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) > 32 || len(b) > 0 && len(b) < 5 {
		return "", fmt.Errorf("engine identifier %q is not 5 to 32 octets in hexadecimal", s)
	}
	return string(b), nil
}
