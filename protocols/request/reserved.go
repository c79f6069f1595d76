package request

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

// reserved makes a call of parameters that say what to do. It is nil if they do not.
func (c *Connector) reserved(req connector.RPCRequest) (*rpc, error) {
	var fields map[string]string
	switch {
	case req.Device == "":
		fields = objectFields(req.Params)
	case req.Method == "get" || req.Method == "set":
		if fields = textFields(req.Params); fields == nil {
			fields = objectFields(req.Params)
		}
	}
	if fields["requestUrlExpression"] == "" {
		return nil, nil //nolint:nilnil // it is none
	}
	r := RPC{Request: Request{
		URL: fields["requestUrlExpression"], Method: fields["httpMethod"], Body: fields["value"],
		Redirects: strings.EqualFold(fields["allowRedirects"], "true"),
	}, Reply: fields["responseValueExpression"]}
	if r.Request.Body == "" {
		r.Request.Body = fields["requestValueExpression"]
	}
	var errs []error
	seconds := func(key string) time.Duration {
		text := strings.TrimSpace(fields[key])
		if text == "" {
			return 0
		}
		const most = 86400
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0 && x <= most) {
			errs = append(errs, fmt.Errorf("%s: %q is not a number of seconds", key, text))
			return 0
		}
		return time.Duration(x * float64(time.Second))
	}
	r.Request.Timeout, r.ReplyTimeout = seconds("timeout"), seconds("responseTimeout")
	if text := strings.TrimSpace(fields["tries"]); text != "" {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			errs = append(errs, fmt.Errorf("tries: %q is not a number of tries", text))
		}
		r.Request.Tries = int(n)
	}
	if text := fields["httpHeaders"]; text != "" {
		r.Request.Headers = objectFields(json.RawMessage(text))
	}
	call := r.compile(c.plan.base, func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	})
	if c.plan.base != nil {
		call.spec.origins = []string{origin(c.plan.base)} // a call from elsewhere sends credentials nowhere else
	} else {
		call.spec.origins = nil
	}
	return &call, errors.Join(errs...)
}

// textFields splits "key=value;key=value", at the first = of each. It is nil if params
// is not a text.
func textFields(params json.RawMessage) map[string]string {
	var text string
	if json.Unmarshal(params, &text) != nil {
		return nil
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(text, ";") {
		if key, value, ok := strings.Cut(part, "="); ok {
			fields[strings.TrimSpace(key)] = value
		}
	}
	return fields
}

// objectFields returns the members of an object, as texts.
func objectFields(params json.RawMessage) map[string]string {
	var members map[string]json.RawMessage
	if json.Unmarshal(params, &members) != nil {
		return nil
	}
	fields := make(map[string]string, len(members))
	for key, raw := range members {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		fields[key] = text
	}
	return fields
}
