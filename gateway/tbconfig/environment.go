package tbconfig

import (
	"fmt"
	"strconv"
)

// environment applies the variables that override the section about the
// platform, as the original does, with get in place of os.Getenv. Only the names
// that begin with TB_GW_ count: the original also takes bare ones such as host,
// which other programs use.
//
// A variable of the section security replaces the whole section.
func (tb *ThingsBoard) environment(get func(string) string) error {
	set := func(to *string, name string) bool {
		v := get("TB_GW_" + name)
		if v != "" {
			*to = v
		}
		return v != ""
	}
	number := func(to *int, name string) error {
		v := get("TB_GW_" + name)
		if v == "" {
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("environment: TB_GW_%s: %q is not a number", name, v)
		}
		*to = n
		return nil
	}
	set(&tb.Host, "HOST")
	set(&tb.ProxyHost, "PROXY_HOST")
	if err := number(&tb.Port, "PORT"); err != nil {
		return err
	}
	if err := number(&tb.ProxyPort, "PROXY_PORT"); err != nil {
		return err
	}
	tb.securityFrom(set)
	tb.provisioningFrom(set)
	tb.ratesFrom(get)
	return nil
}

// A setter sets a text to a variable's value, and reports whether there is one.
type setter func(to *string, name string) bool

func (tb *ThingsBoard) securityFrom(set setter) {
	var s Security
	given := false
	for _, v := range []struct {
		to   *string
		name string
	}{
		{&s.Type, "SECURITY_TYPE"},
		{&s.AccessToken, "ACCESS_TOKEN"},
		{&s.CACert, "CA_CERT"},
		{&s.PrivateKey, "PRIVATE_KEY"},
		{&s.Cert, "CERT"},
		{&s.ClientID, "CLIENT_ID"},
		{&s.Username, "USERNAME"},
		{&s.Password, "PASSWORD"},
	} {
		given = set(v.to, v.name) || given
	}
	if !given {
		return
	}
	if s.Type == "" && s.AccessToken == "" && (s.Username != "" || s.ClientID != "") {
		s.Type = "usernamePassword"
	}
	tb.Security = s
}

// provisioningFrom makes the section provisioning of variables. They come before
// the credentials of the file.
func (tb *ThingsBoard) provisioningFrom(set setter) {
	p := Provisioning{}
	if old := tb.Provisioning; old != nil {
		p = *old
	}
	given := false
	for _, v := range []struct {
		to   *string
		name string
	}{
		{&p.Key, "KEY"},
		{&p.Secret, "SECRET"},
		{&p.DeviceName, "NAME"},
		{&p.AccessToken, "ACCESS_TOKEN"},
		{&p.Username, "USERNAME"},
		{&p.Password, "PASSWORD"},
		{&p.ClientID, "CLIENT_ID"},
		{&p.CACert, "CA_CERT_FILENAME"},
	} {
		given = set(v.to, "PROVISIONING_DEVICE_"+v.name) || given
	}
	if !given {
		return
	}
	tb.Provisioning = &p
	tb.Security.Type, tb.Security.AccessToken = "", ""
}

// ratesFrom sets rate limits. A variable for one limit comes before one for many.
func (tb *ThingsBoard) ratesFrom(get func(string) string) {
	for _, v := range []struct {
		name string
		to   []**string
	}{
		{"RATE_LIMITS", []**string{&tb.RateLimits, &tb.MessagesRateLimits, &tb.DeviceMessagesRateLimits, &tb.DeviceRateLimits}},
		{"DP_RATE_LIMITS", []**string{&tb.DataPointRateLimits, &tb.DeviceDPRateLimits}},
		{"MESSAGES_RATE_LIMITS", []**string{&tb.MessagesRateLimits}},
		{"DEVICE_MESSAGES_RATE_LIMIT", []**string{&tb.DeviceMessagesRateLimits}},
		{"DEVICE_MESSAGES_RATE_LIMITS", []**string{&tb.DeviceMessagesRateLimits}},
		{"DEVICE_RATE_LIMITS", []**string{&tb.DeviceRateLimits}},
		{"DEVICE_DP_RATE_LIMITS", []**string{&tb.DeviceDPRateLimits}},
	} {
		if text := get("TB_GW_" + v.name); text != "" {
			for _, to := range v.to {
				*to = &text
			}
		}
	}
}
