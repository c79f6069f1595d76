package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// An intake is a compiled Endpoint.
type intake struct {
	path      string
	response  *response
	converter UplinkConverter
	faulty    atomic.Bool
}

func newIntake(e *Endpoint, compatible bool, p problems) *intake {
	in := &intake{path: e.Path, response: compileResponse(e.Response, p.at("response")), converter: e.Converter}
	if in.converter == nil {
		in.converter = compileJSON(e, compatible, p.at("converter"))
	}
	return in
}

func (in *intake) action(e *Endpoint) *action {
	return &action{auth: compileAuth(e.Auth), response: in.response, intake: in, serve: in.serve}
}

var batches = sync.Pool{New: func() any { return new(telemetry.Batch) }} //nolint:gochecknoglobals // memory only

// serve takes the data of a request.
func (in *intake) serve(r *run, w http.ResponseWriter, req *http.Request, vars []Param) answer {
	m, free, err := r.message(w, req, in.path, vars)
	defer free()
	if err != nil {
		return failed(err)
	}
	b := batches.Get().(*telemetry.Batch)
	defer batches.Put(b)
	b.Reset()
	err = in.convert(m, b)
	r.fault(in, req, err)
	groups := b.Groups()
	if err != nil && len(groups) == 0 {
		return failed(err)
	}
	if len(groups) == 0 {
		return answer{}
	}
	device := groups[len(groups)-1].Device.Name
	if !in.response.expected {
		a := r.deliver(req, b)
		a.device = device
		return a
	}
	b.Attribute("responseExpected", telemetry.Bool(true))
	got, done := r.waiters.expect(device, in.response.attribute)
	defer done()
	a := r.deliver(req, b)
	if a.status == 0 {
		a = in.wait(r, w, req, got)
	}
	a.device = device
	return a
}

// wait waits for an attribute. The deadline for reading the request, which is read, would
// end it.
func (in *intake) wait(r *run, w http.ResponseWriter, req *http.Request, got <-chan telemetry.Point) answer {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the connection has one
	timer := time.NewTimer(in.response.timeout)
	defer timer.Stop()
	select {
	case p := <-got:
		return answer{key: p.Key, value: p.Value}
	case <-timer.C:
		return answer{status: http.StatusRequestTimeout, reason: fmt.Sprintf("no answer within %v", in.response.timeout)}
	case <-r.ctx.Done():
		return answer{status: http.StatusServiceUnavailable, reason: "the gateway stops"}
	case <-req.Context().Done():
		return answer{status: http.StatusServiceUnavailable, reason: "the client has left"}
	}
}

// convert calls the converter, of which a panic is an error.
func (in *intake) convert(m Message, out *telemetry.Batch) (err error) {
	defer func() {
		if x := recover(); x != nil {
			out.Reset()
			err = &failure{http.StatusInternalServerError, fmt.Sprintf("the converter panicked: %v", x)}
		}
	}()
	return in.converter.ConvertUplink(m, out)
}

// fault counts faults, and logs the first of several, and the end of them.
func (r *run) fault(in *intake, req *http.Request, err error) {
	if err != nil {
		r.c.malformed.Add(1)
	}
	if in.faulty.Swap(err != nil) == (err != nil) {
		return
	}
	log := r.log.With(slog.String("endpoint", in.path), slog.String("client", req.RemoteAddr))
	if err != nil {
		log.Warn("a request does not convert as configured; what converts is used", slog.Any("error", err))
		return
	}
	log.Info("requests convert again")
}

// deliver waits until a batch is durable. Its answer has the status 0 if it is.
func (r *run) deliver(req *http.Request, b *telemetry.Batch) answer {
	if b.Empty() {
		return answer{}
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.c.cfg.StoreTimeout)
	defer cancel()
	err := connector.Deliver(ctx, r.host, b)
	if err != nil && connector.IsInvalid(err) {
		r.c.malformed.Add(1)
		return answer{status: http.StatusUnprocessableEntity, reason: err.Error()}
	}
	if err != nil && req.Context().Err() == nil {
		r.c.unstored.Add(1)
	}
	if failing := err != nil; req.Context().Err() == nil && r.failing.Swap(failing) != failing {
		if failing {
			r.log.Warn("data is not stored: requests are answered with 503", slog.Any("error", err))
		} else {
			r.log.Info("data is stored again")
		}
	}
	switch {
	case err == nil:
		return answer{}
	case errors.Is(err, context.DeadlineExceeded):
		return answer{status: http.StatusServiceUnavailable, reason: fmt.Sprintf("the data was not stored within %v", r.c.cfg.StoreTimeout)}
	}
	return answer{status: http.StatusServiceUnavailable, reason: "the data is not stored"}
}

// message reads a request. Whoever calls it calls free when the message is not used any
// more.
func (r *run) message(w http.ResponseWriter, req *http.Request, path string, vars []Param) (m Message, free func(), err error) {
	buf := bodies.Get().(*body)
	free = func() { bodies.Put(buf) }
	m = Message{Endpoint: path, Method: req.Method, Params: vars, ContentType: req.Header.Get("Content-Type"), Remote: req.RemoteAddr}
	if req.URL.RawQuery != "" {
		query, err := url.ParseQuery(req.URL.RawQuery)
		if err != nil {
			return m, free, malformed(fmt.Errorf("the query is malformed: %w", err))
		}
		for name, values := range query {
			m.Params = append(m.Params, Param{name, values[0]})
		}
	}
	m.Body, err = buf.read(w, req, r.c.cfg.MaxBody)
	return m, free, err
}
