package request

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A document is the memory of one poll.
type document struct {
	parser fastjson.Parser
	batch  telemetry.Batch
}

var documents = sync.Pool{New: func() any { return new(document) }} //nolint:gochecknoglobals // memory only

// poll asks for all pages of e once, and submits what they say.
func (r *run) poll(ctx context.Context, e *endpoint) error {
	now := time.Now()
	if err := e.state.failure(); err != nil && now.Before(e.state.notBefore) {
		return err
	}
	r.c.requests.Add(1)
	err := r.fetch(ctx, e, now)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.c.failed.Add(1)
		e.state.notBefore = now.Add(afterOf(err))
	} else {
		e.state.last = now
		r.ready.Do(r.host.Ready)
	}
	switch changed := e.state.settle(err); {
	case changed && err != nil:
		r.log.Warn("an endpoint fails", slog.String("endpoint", e.name), slog.Any("error", err))
	case changed:
		r.log.Info("an endpoint answers again", slog.String("endpoint", e.name))
	}
	return err
}

// fetch follows the pages.
func (r *run) fetch(ctx context.Context, e *endpoint, now time.Time) error {
	req, err := e.build(pollVariables(now, e.state.last))
	if err != nil {
		return err
	}
	req.conditions = e.state.conditions()
	var first http.Header
	var fault error
	for page := 1; req != nil; page++ {
		if e.pages != nil && page > e.pages.max {
			return fmt.Errorf("%s: there are more than %d pages", e.name, e.pages.max)
		}
		resp, err := r.client.do(ctx, req)
		if err != nil {
			return err
		}
		if resp.Status == http.StatusNotModified {
			r.c.unmodified.Add(1)
			return nil
		}
		if first == nil {
			first = resp.Header
		}
		next, wrong, err := r.page(ctx, e, req, resp)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		if fault == nil {
			fault = wrong
		}
		if next != nil && next.url.String() == req.url.String() {
			return fmt.Errorf("%s: a page says that it is the next one itself", e.name)
		}
		req = next
	}
	r.fault(e, fault)
	if e.onlyChanged && fault == nil {
		e.state.etag, e.state.modified = first.Get("ETag"), first.Get("Last-Modified")
	}
	return nil
}

// page submits what a response says, and returns the request of the next one. What
// does not convert is a fault, and costs nothing else; an error ends the poll.
func (r *run) page(ctx context.Context, e *endpoint, req *outgoing, resp *Response) (next *outgoing, fault, err error) {
	doc := documents.Get().(*document)
	defer documents.Put(doc)
	doc.batch.Reset()
	u := &upload{run: r, endpoint: e, batch: &doc.batch}
	var root *fastjson.Value
	format := ""
	if e.custom == nil || e.pages != nil && e.pages.path != nil {
		if root, format, err = e.parse(&doc.parser, resp); err != nil {
			return nil, nil, err
		}
	}
	next, noNext := e.pages.next(req, resp, root)
	if e.custom != nil {
		u.custom(resp)
	} else if err := u.items(ctx, root, format, req); err != nil {
		return nil, nil, err
	}
	if err := u.flush(ctx); err != nil {
		return nil, nil, err
	}
	return next, u.problem, noNext
}

// parse returns the body as JSON. The value lives as long as the parser is not used
// again.
func (e *endpoint) parse(p *fastjson.Parser, resp *Response) (root *fastjson.Value, format string, err error) {
	contentType := resp.Header.Get("Content-Type")
	format = e.decoder.formatOf(contentType)
	if len(bytes.TrimSpace(resp.Body)) == 0 {
		resp.Body = []byte("[]") // nothing to say
		format = "json"
	}
	text, err := e.decoder.decode(format, resp.Body)
	if err != nil {
		return nil, "", err
	}
	if root, err = p.ParseBytes(text); err != nil {
		return nil, "", fmt.Errorf("body is not JSON (its Content-Type is %q): %w", contentType, shorten(err))
	}
	return root, format, nil
}

// shorten cuts the excerpt off an error of the parser.
func shorten(err error) error {
	text, _, _ := strings.Cut(err.Error(), "; unparsed tail")
	return errors.New(text)
}

// fault logs the first of several faults, and the end of them.
func (r *run) fault(e *endpoint, err error) {
	if e.state.faulty == (err != nil) {
		return
	}
	e.state.faulty = err != nil
	if err != nil {
		r.log.Warn("an answer does not convert as configured; what converts is used",
			slog.String("endpoint", e.name), slog.Any("error", err))
		return
	}
	r.log.Info("answers convert again", slog.String("endpoint", e.name))
}
