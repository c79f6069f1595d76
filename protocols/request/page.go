package request

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// A pager finds the next page. A nil one finds none.
type pager struct {
	link      bool
	path      *expr.Path // of the URL or the cursor; nil: header Link
	parameter string
	max       int
}

func (p Pages) compile(fail func(key string, err error)) *pager {
	c := &pager{link: p.Link, parameter: p.Parameter, max: p.Max}
	text := p.Cursor
	if p.Link {
		text = p.Next
		if p.Cursor != "" {
			fail("pagination", errors.New("a link and a cursor exclude each other"))
		}
	} else if p.Cursor == "" {
		return nil
	}
	if text != "" {
		c.path = compilePath(text)
		fail("pagination.path", c.path.Err())
	}
	if c.parameter == "" {
		c.parameter = "cursor"
	}
	if c.max <= 0 {
		c.max = DefaultMaxPages
	}
	return c
}

// compilePath compiles a path with or without ${}.
func compilePath(text string) *expr.Path {
	if p := expr.Compile(text).Path(); p != nil {
		return p
	}
	return expr.CompilePath(text)
}

// next returns the request of the page after resp, or nil if there is none. A page on
// another host is an error.
func (p *pager) next(r *outgoing, resp *Response, root *fastjson.Value) (*outgoing, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	text := p.text(resp, root)
	if text == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	next := *r
	next.conditions = nil
	if !p.link {
		query := r.url.Query()
		query.Set(p.parameter, text)
		u := *r.url
		u.RawQuery = query.Encode()
		next.url = &u
		return &next, nil
	}
	base, err := url.Parse(resp.URL)
	if err != nil {
		return nil, reasonOf(err)
	}
	u, err := base.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("URL of the next page: %w", reasonOf(err))
	}
	if origin(u) != origin(r.url) {
		return nil, fmt.Errorf("the next page is on another host: %s", shown(u))
	}
	next.url = u
	return &next, nil
}

// text returns the URL or the cursor of the next page, or an empty text.
func (p *pager) text(resp *Response, root *fastjson.Value) string {
	if p.path == nil {
		return nextLink(resp.Header.Values("Link"))
	}
	v := p.path.First(root)
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString, fastjson.TypeNumber:
		return string(expr.AppendText(nil, v))
	default:
		return ""
	}
}

// nextLink returns the target of the link to the next page, see RFC 8288.
func nextLink(headers []string) string {
	for _, h := range headers {
		for {
			_, rest, found := strings.Cut(h, "<")
			if !found {
				break
			}
			target, rest, closed := strings.Cut(rest, ">")
			if !closed {
				break
			}
			params := rest
			if end := strings.IndexByte(rest, '<'); end >= 0 {
				params = rest[:end]
			}
			if isNext(params) {
				return strings.TrimSpace(target)
			}
			h = rest
		}
	}
	return ""
}

// isNext reports whether the parameters of a link say that it is the next page.
func isNext(params string) bool {
	for part := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "rel") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `", `)
		for rel := range strings.FieldsSeq(value) {
			if strings.EqualFold(rel, "next") {
				return true
			}
		}
	}
	return false
}
