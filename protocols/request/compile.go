package request

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A plan is a compiled Config.
type plan struct {
	base      *url.URL
	endpoints []*endpoint
	updates   []attributeUpdate
	rpcs      []rpc
}

// An endpoint is a compiled Endpoint, and what is known of it.
type endpoint struct {
	*spec

	name        string // for messages
	period      time.Duration
	decoder     decoder
	items       *expr.Path // nil: the body
	onlyChanged bool
	pages       *pager
	subs        []subRequest
	json        *jsonConverter  // nil: custom counts
	custom      UplinkConverter // instead of json

	state endpointState
}

type subRequest struct {
	key   string
	url   *expr.Template
	value *expr.Template // nil: the whole answer
}

type attributeUpdate struct {
	device, attribute *expr.Regexp
	spec              *spec
}

type rpc struct {
	device, method *expr.Regexp
	spec           *spec
	reply          *expr.Template // nil: the whole answer
	timeout        time.Duration
}

// A failer notes problems by key.
type failer func(key string, err error)

// at returns a failer for what is below prefix.
func (f failer) at(prefix string) failer {
	return func(key string, err error) {
		for _, e := range unjoin(err) {
			f(prefix+key, e)
		}
	}
}

// unjoin returns the errors that were joined.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// compile checks c and returns its plan. The error names every problem.
func (c Config) compile() (*plan, error) {
	var errs []error
	fail := failer(func(key string, err error) {
		if err == nil {
			return
		}
		e := fmt.Errorf("%s: %w", strings.TrimSuffix(key, "."), err)
		if !slices.ContainsFunc(errs, func(other error) bool { return other.Error() == e.Error() }) {
			errs = append(errs, e)
		}
	})
	p := &plan{}
	var err error
	p.base, err = parseHost(c.Host)
	fail("host", err)
	if c.MaxConnections < 0 {
		fail("maxConnections", fmt.Errorf("%d is negative", c.MaxConnections))
	}
	for i, e := range c.Endpoints {
		p.endpoints = append(p.endpoints, e.compile(p.base, c.Compatible, fail.at(fmt.Sprintf("mapping[%d].", i))))
	}
	for i, u := range c.Updates {
		below := fail.at(fmt.Sprintf("attributeUpdates[%d].", i))
		p.updates = append(p.updates, attributeUpdate{
			device:    wholeRegexp("deviceNameFilter", u.DeviceFilter, below),
			attribute: wholeRegexp("attributeFilter", u.AttributeFilter, below),
			spec:      u.Request.compileDownlink(p.base, below),
		})
	}
	for i, r := range c.RPCs {
		p.rpcs = append(p.rpcs, r.compile(p.base, fail.at(fmt.Sprintf("serverSideRpc[%d].", i))))
	}
	return p, errors.Join(errs...)
}

func (r RPC) compile(base *url.URL, fail failer) rpc {
	c := rpc{
		device:  wholeRegexp("deviceNameFilter", r.DeviceFilter, fail),
		method:  wholeRegexp("methodFilter", r.MethodFilter, fail),
		spec:    r.Request.compileDownlink(base, fail),
		timeout: r.ReplyTimeout,
	}
	if c.timeout <= 0 {
		c.timeout = DefaultReplyTimeout
	}
	if r.Reply != "" {
		c.reply = expr.Compile(r.Reply)
		fail("responseValueExpression", c.reply.Check())
	}
	return c
}

// compileDownlink compiles a request that carries out a command.
func (r Request) compileDownlink(base *url.URL, fail failer) *spec {
	if r.URL == "" {
		fail("requestUrlExpression", errors.New("is missing"))
	}
	return r.compile(base, "requestUrlExpression", "requestValueExpression", fail)
}

// wholeRegexp compiles a regular expression that has to match all of a text. An empty
// one matches everything.
func wholeRegexp(key, text string, fail failer) *expr.Regexp {
	if text == "" {
		text = ".*"
	}
	re, err := expr.CompileRegexp("^(?:" + text + ")$")
	fail(key, err)
	return re
}

func (e Endpoint) compile(base *url.URL, compatible bool, fail failer) *endpoint {
	c := &endpoint{
		spec: e.Request.compile(base, "url", "data", fail), period: e.Period, onlyChanged: e.Conditional,
		decoder: decoder{format: e.Format, comma: e.Comma, noHeader: e.NoHeader}, pages: e.Pages.compile(fail),
		custom: e.Converter,
	}
	c.name = c.method + " " + nameOf(e.URL)
	if c.period <= 0 {
		c.period = DefaultPeriod
	}
	if !slices.Contains([]string{"", "json", "xml", "csv", "text"}, e.Format) {
		fail("responseFormat", fmt.Errorf("%q is not one of json, xml, csv, text", e.Format))
	}
	if e.Comma != 0 && (e.Comma == '"' || e.Comma == '\r' || e.Comma == '\n' || e.Comma == utf8.RuneError || !utf8.ValidRune(e.Comma)) {
		fail("csvDelimiter", fmt.Errorf("%q cannot separate columns", e.Comma))
	}
	if e.Items != "" {
		c.items = compilePath(e.Items)
		fail("dataUnpackExpression", c.items.Err())
	}
	for _, s := range e.SubRequests {
		below := fail.at("subRequests." + s.Key + ".")
		if s.URL == "" {
			below("url", errors.New("is missing"))
		}
		sub := subRequest{key: s.Key, url: expr.Compile(s.URL)}
		below("url", sub.url.Check())
		if s.Value != "" {
			sub.value = expr.Compile(s.Value)
			below("valueExpression", sub.value.Check())
		}
		c.subs = append(c.subs, sub)
	}
	if c.custom == nil {
		c.json = e.JSON.compile(compatible, fail.at("converter."))
	}
	return c
}

// nameOf returns what messages call a URL: without a user and a query, where secrets
// may be.
func nameOf(text string) string {
	text, _, _ = strings.Cut(text, "?")
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	host, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + path
}
