package request

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/backoff"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// largestBatch is the number of values after which a batch is submitted.
const largestBatch = 1000

// An upload converts the messages of a response.
type upload struct {
	*run

	endpoint *endpoint
	batch    *telemetry.Batch
	problem  error // the first that a message has
}

// items converts the messages in root.
func (u *upload) items(ctx context.Context, root *fastjson.Value, format string, req *outgoing) error {
	e := u.endpoint
	if e.items != nil {
		found := e.items.First(root)
		if found == nil || found.Type() == fastjson.TypeNull {
			u.wrong(fmt.Errorf("dataUnpackExpression %q has no value in the body", e.items))
			return nil
		}
		root = found
	}
	types := format != "json"
	if root.Type() != fastjson.TypeArray {
		return u.item(ctx, root, types, req)
	}
	for _, item := range root.GetArray() {
		if err := u.item(ctx, item, types, req); err != nil {
			return err
		}
	}
	return nil
}

// item converts one message. An error is one of the host or of ctx.
func (u *upload) item(ctx context.Context, item *fastjson.Value, types bool, req *outgoing) error {
	u.c.messages.Add(1)
	if item.Type() == fastjson.TypeObject {
		for i := range u.endpoint.subs {
			if err := u.ask(ctx, &u.endpoint.subs[i], item, req); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				u.wrong(fmt.Errorf("sub-request %q: %w", u.endpoint.subs[i].key, err))
			}
		}
	}
	n := u.batch.Len()
	if err := u.endpoint.json.convert(item, types, u.batch); err != nil {
		u.c.malformed.Add(1)
		u.batch.Truncate(n)
		u.wrong(err)
	}
	if u.batch.Len() >= largestBatch {
		return u.flush(ctx)
	}
	return nil
}

// ask sends a request for a message, whose answer becomes a member of it.
func (u *upload) ask(ctx context.Context, s *subRequest, item *fastjson.Value, req *outgoing) error {
	text, err := urlText(s.url, messageVariables(item))
	if err != nil {
		return err
	}
	if !absolute(text) {
		base := *req.url
		base.RawQuery, base.Fragment = "", ""
		text = strings.TrimSuffix(base.String(), "/") + "/" + strings.TrimPrefix(text, "/")
	}
	target, err := req.resolve(text)
	if err != nil {
		return err
	}
	sub := req.to(target)
	get := *req.spec
	get.method = http.MethodGet
	sub.spec = &get
	resp, err := u.client.do(ctx, sub)
	if err != nil {
		return err
	}
	var p fastjson.Parser // its value lives as long as the message
	root, _, err := u.endpoint.parse(&p, resp)
	if err != nil {
		return err
	}
	if s.value != nil {
		if root, err = pick(s.value, root); err != nil {
			return err
		}
	}
	item.Set(s.key, root)
	return nil
}

// custom converts a response by the program's converter, of which a panic is an error.
func (u *upload) custom(resp *Response) {
	defer func() {
		if x := recover(); x != nil {
			u.c.malformed.Add(1)
			u.batch.Reset()
			u.wrong(fmt.Errorf("the converter panicked: %v", x))
		}
	}()
	u.c.messages.Add(1)
	if err := u.endpoint.custom.ConvertUplink(*resp, u.batch); err != nil {
		u.c.malformed.Add(1)
		u.batch.Reset()
		u.wrong(err)
	}
}

func (u *upload) wrong(err error) {
	if u.problem == nil {
		u.problem = err
	}
}

// flush submits the batch until it is taken. What was asked for on condition will not
// be sent again, so that it has to be durable.
func (u *upload) flush(ctx context.Context) error {
	defer u.batch.Reset()
	var wait backoff.Backoff
	for !u.batch.Empty() {
		var err error
		if u.endpoint.onlyChanged {
			err = connector.Deliver(ctx, u.host, u.batch)
		} else {
			_, err = u.host.Submit(ctx, u.batch)
		}
		if err == nil {
			return nil
		}
		if connector.IsInvalid(err) {
			u.c.malformed.Add(1)
			u.wrong(err)
			return nil
		}
		if err := wait.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
