package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

func pendingPath(path string) string { return path + ".pending" }

// A pending is what was chosen for a request whose answer is not saved yet.
type pending struct {
	Broker      string `json:"broker"`
	Key         string `json:"provisionDeviceKey"`
	DeviceName  string `json:"deviceName"`
	Type        Type   `json:"credentialsType"`
	Token       string `json:"token,omitempty"`
	ClientID    string `json:"clientId,omitempty"`
	Username    string `json:"username,omitempty"`
	Password    string `json:"password,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	PrivateKey  string `json:"privateKey,omitempty"`
}

func (r *Request) pending() pending {
	return pending{
		r.Broker, r.Key, r.DeviceName, r.Type, r.Token,
		r.ClientID, r.Username, r.Password, r.Certificate, r.PrivateKey,
	}
}

// adopt returns a request with what p has chosen, or false if p is for another.
func (p *pending) adopt(asked Request) (Request, bool) {
	r := asked
	if r.Type == "" {
		r.Type = AccessToken
	}
	if p.Broker != r.Broker || p.Key != r.Key || p.Type != r.Type {
		return asked, false
	}
	for _, f := range [...]struct {
		wanted *string
		chosen string
	}{
		{&r.DeviceName, p.DeviceName},
		{&r.Token, p.Token},
		{&r.ClientID, p.ClientID},
		{&r.Username, p.Username},
		{&r.Password, p.Password},
		{&r.Certificate, p.Certificate},
		{&r.PrivateKey, p.PrivateKey},
	} {
		if *f.wanted != "" && *f.wanted != f.chosen {
			return asked, false
		}
		*f.wanted = f.chosen
	}
	return r, true
}

// prepare returns r with everything chosen, and keeps the choice beside path.
// asked reports that an earlier run had chosen it, and perhaps asked.
func prepare(path string, r Request) (chosen Request, asked bool, err error) {
	doc, err := os.ReadFile(pendingPath(path))
	switch {
	case err == nil:
		var p pending
		if json.Unmarshal(doc, &p) == nil {
			r, asked = p.adopt(r)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return r, false, fmt.Errorf("provision: %w", err)
	}
	if r, err = r.chosen(); err != nil || asked {
		return r, asked, err
	}
	if doc, err = json.Marshal(r.pending()); err != nil {
		return r, false, fmt.Errorf("provision: %w", err)
	}
	if err := atomicfile.Write(pendingPath(path), doc); err != nil {
		return r, false, fmt.Errorf("provision: keep what is asked for: %w", err)
	}
	return r, false, nil
}
