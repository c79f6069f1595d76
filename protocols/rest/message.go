package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter"
)

// A Message is a request with data.
type Message struct {
	Endpoint    string // as it is configured
	Method      string
	Params      []Param // variables of the path, and then parameters of the query
	ContentType string
	Remote      string // address of the client, as ip:port
	Body        []byte // without its content encoding
}

// UplinkConverter converts the messages of an endpoint. It is called by several
// goroutines at a time. A message that gives an error and no data is refused with
// status 422.
type UplinkConverter = converter.UplinkConverter[Message]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[Message]

// A failure is the reason for an answer other than 200.
type failure struct {
	status int
	reason string
}

func (f *failure) Error() string { return f.reason }

// Failures that say nothing of the request. They are not changed.
var (
	errNoData = &failure{http.StatusUnsupportedMediaType, "there is no data"}
	errScalar = &failure{http.StatusBadRequest, "the data is neither a JSON object nor an array of them"}
)

// errTrouble is what the Python gateway answers with when it fails.
var errTrouble = errors.New("internal server error")

func malformed(err error) error { return &failure{http.StatusBadRequest, err.Error()} }

// media returns the type of a Content-Type header.
func media(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

func isJSONMedia(name string) bool {
	return name == "application/json" || strings.HasSuffix(name, "+json")
}

// data returns the data of a message, an object or an array: the body, as JSON, a form,
// or the member text, and the parameters, which go before members of the body.
func (d *document) data(m *Message, compatible bool) (*fastjson.Value, error) {
	root, err := d.body(m, compatible)
	if err != nil {
		return nil, err
	}
	switch root.Type() {
	case fastjson.TypeObject:
		if d.set(root, m.Params); root.GetObject().Len() == 0 {
			return nil, errNoData
		}
	case fastjson.TypeArray:
		items := root.GetArray()
		if compatible {
			if len(items) == 0 || items[0].Type() != fastjson.TypeObject {
				return nil, errTrouble
			}
			d.set(items[0], m.Params)
			return items[0], nil
		}
		if len(items) == 0 {
			return nil, errNoData
		}
		for _, item := range items {
			if item.Type() == fastjson.TypeObject {
				d.set(item, m.Params)
			}
		}
	default:
		if compatible {
			return nil, errTrouble
		}
		return nil, errScalar
	}
	return root, nil
}

// set sets members of an object. Of several with one name the first counts.
func (d *document) set(root *fastjson.Value, params []Param) {
	for _, p := range slices.Backward(params) {
		root.Set(p.Name, d.arena.NewString(p.Value))
	}
}

// body returns the data in a body.
func (d *document) body(m *Message, compatible bool) (*fastjson.Value, error) {
	d.arena.Reset()
	kind := media(m.ContentType)
	body := bytes.TrimSpace(m.Body)
	switch {
	case kind == "multipart/form-data":
		return d.multipart(m)
	case len(body) == 0 && !compatible:
		return d.arena.NewObject(), nil
	case isJSONMedia(kind) || len(body) > 0 && (body[0] == '{' || body[0] == '['):
		root, err := d.parser.ParseBytes(validUTF8(body))
		if err == nil {
			return root, nil
		}
		if isJSONMedia(kind) && !compatible {
			return nil, &failure{http.StatusBadRequest, "the body is not JSON: " + err.Error()}
		}
	}
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, malformed(err)
		}
		root := d.arena.NewObject()
		for name, values := range form {
			root.Set(name, d.arena.NewString(values[0]))
		}
		return root, nil
	}
	root := d.arena.NewObject()
	if len(m.Body) > 0 {
		root.Set("text", d.arena.NewStringBytes(validUTF8(m.Body)))
	} else if m.Method != http.MethodGet {
		root.Set("text", d.arena.NewString(""))
	}
	return root, nil
}

// multipart returns the texts in a form. Files are left out.
func (d *document) multipart(m *Message) (*fastjson.Value, error) {
	_, params, err := mime.ParseMediaType(m.ContentType)
	if err != nil {
		return nil, malformed(err)
	}
	root := d.arena.NewObject()
	parts := multipart.NewReader(bytes.NewReader(m.Body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, malformed(err)
		}
		if p.FileName() != "" || p.FormName() == "" {
			continue
		}
		text, err := io.ReadAll(p)
		if err != nil {
			return nil, malformed(err)
		}
		if root.Get(p.FormName()) == nil {
			root.Set(p.FormName(), d.arena.NewStringBytes(validUTF8(text)))
		}
	}
}
