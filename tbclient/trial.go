package tbclient

import "github.com/gridlinks/iot-gateway/gateway"

// Connected implements gateway.Prober: the platform is connected, and the
// devices are announced.
func (c *Client) Connected() bool { return c.current() != nil }

// LastError implements gateway.Prober: why the last attempt to connect failed,
// or the last connection ended; nil if there was neither.
func (c *Client) LastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastErr
}

// Excludes implements gateway.Excluder: two clients of one broker with the same
// credentials or client identifier are not to be connected at the same time. The
// broker ends the first of two connections with one identifier, and gives each
// command to both of two connections of one device.
func (c *Client) Excludes(other gateway.Platform) bool {
	o, ok := other.(*Client)
	if !ok || c.cfg.Broker == "" || c.cfg.Broker != o.cfg.Broker {
		return false
	}
	a, b := &c.cfg, &o.cfg
	switch {
	case a.ClientID != "" && a.ClientID == b.ClientID:
		return true
	case a.AccessToken != "" || b.AccessToken != "":
		return a.AccessToken == b.AccessToken
	default:
		return a.Username == b.Username
	}
}
