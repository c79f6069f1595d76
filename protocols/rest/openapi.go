package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// object is a JSON object of a description.
type object map[string]any

// openAPIAction returns an action that shows an OpenAPI document of all paths.
func openAPIAction(c Config) *action {
	paths := make(object)
	schemes := make(object)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		op := operation(e.Path, e.Auth, schemes)
		op["summary"] = "Data of " + described(e.Device.Name)
		responses := object{
			"200": described200(e), "400": says("The data is malformed."), "413": says("The body is too large."),
			"415": says("There is no data."), "422": says("The data does not convert as configured."), "503": says("The data is not stored. Send it again."),
		}
		if e.Response.Expected {
			responses["408"] = says("There was no answer in time. The data is stored.")
		}
		describe(paths, op, e.Path, e.Methods, members(e), responses)
	}
	for i := range c.AttributeRequests {
		q := &c.AttributeRequests[i]
		op := operation(q.Path, q.Auth, schemes)
		op["summary"] = "Attributes of a device"
		fields := make(object)
		placeholders(fields, q.Device, "string")
		placeholders(fields, q.Names, "string")
		describe(paths, op, q.Path, q.Methods, fields, object{
			"200": object{"description": "The attributes by name.", "content": object{jsonType: object{"schema": object{"type": "object"}}}},
			"408": says("The platform did not answer in time."), "503": says("The platform cannot be asked."),
		})
	}
	doc := object{
		"openapi": "3.1.0", "info": object{"title": "Gateway", "version": "1.0.0"}, "paths": paths,
		"components": object{"securitySchemes": schemes},
	}
	b, err := json.Marshal(doc)
	return &action{serve: func(*run, http.ResponseWriter, *http.Request, []Param) answer {
		if err != nil {
			return answer{status: http.StatusInternalServerError, reason: err.Error()}
		}
		return answer{body: b, contentType: jsonType}
	}}
}

func says(text string) object { return object{"description": text} }

func described(e Expression) string {
	if e.Text == "" {
		return "devices that a program converts"
	}
	return "device " + e.Text
}

func described200(e *Endpoint) object {
	if e.Response.Expected {
		return says("The data is stored, and this is the answer of the platform.")
	}
	return says("The data is stored.")
}

// operation returns what all methods of a path have in common.
func operation(path string, a Auth, schemes object) object {
	op := make(object)
	var params []object
	for rest := path; ; {
		open := strings.IndexByte(rest, '{')
		end := -1
		if open >= 0 {
			end = closing(rest, open)
		}
		if end < 0 {
			break
		}
		name, pattern, found := strings.Cut(rest[open+1:end], ":")
		schema := object{"type": "string"}
		if found {
			schema["pattern"] = "^(" + pattern + ")$"
		}
		params = append(params, object{"name": name, "in": "path", "required": true, "schema": schema})
		rest = rest[end+1:]
	}
	if params != nil {
		op["parameters"] = params
	}
	var security []object
	if len(a.Users) > 0 {
		schemes["basic"] = object{"type": "http", "scheme": "basic"}
		security = append(security, object{"basic": []string{}})
	}
	if len(a.Tokens) > 0 {
		schemes["bearer"] = object{"type": "http", "scheme": "bearer"}
		security = append(security, object{"bearer": []string{}})
	}
	if a.Certificate {
		schemes["certificate"] = object{"type": "mutualTLS"}
		if security == nil {
			security = []object{{}}
		}
		for _, s := range security {
			s["certificate"] = []string{}
		}
	}
	if security != nil {
		op["security"] = security
	}
	return op
}

// describe adds a path with its methods.
func describe(paths, op object, path string, methods []string, fields, responses object) {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	path = withoutPatterns(path)
	item, ok := paths[path].(object)
	if !ok {
		item = make(object)
		paths[path] = item
	}
	if op["security"] != nil {
		responses["401"] = says("The credentials are missing or wrong.")
	}
	for _, m := range methods {
		m = strings.ToLower(strings.TrimSpace(m))
		if m == "*" {
			m = "post"
		}
		one := object{"responses": responses}
		maps.Copy(one, op)
		if schema := (object{"type": "object", "properties": fields}); m == "get" || m == "head" || m == "delete" {
			params, _ := op["parameters"].([]object)
			params = slices.Clone(params)
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				params = append(params, object{"name": name, "in": "query", "schema": fields[name]})
			}
			one["parameters"] = params
		} else {
			one["requestBody"] = object{"content": object{jsonType: object{"schema": object{
				"oneOf": []object{schema, {"type": "array", "items": schema}},
			}}}}
		}
		item[m] = one
	}
}

// withoutPatterns returns a path whose variables are names only.
func withoutPatterns(path string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(path, '{')
		end := -1
		if open >= 0 {
			end = closing(path, open)
		}
		if end < 0 {
			return b.String() + path
		}
		name, _, _ := strings.Cut(path[open+1:end], ":")
		b.WriteString(path[:open] + "{" + name + "}")
		path = path[end+1:]
	}
}

// members returns the schemas of the members of the data that an endpoint converts.
func members(e *Endpoint) object {
	fields := make(object)
	if !e.Device.Name.Constant {
		placeholders(fields, e.Device.Name.Text, "string")
	}
	if !e.Device.Profile.Constant {
		placeholders(fields, e.Device.Profile.Text, "string")
	}
	for _, list := range [][]Datapoint{e.Attributes, e.Timeseries} {
		for _, d := range list {
			placeholders(fields, d.Key, "string")
			placeholders(fields, d.Value, schemaType(d))
		}
	}
	for _, p := range operationNames(e.Path) {
		delete(fields, p)
	}
	return fields
}

// operationNames returns the names of the variables of a path.
func operationNames(path string) []string {
	_, names, err := compilePath(path)
	if err != nil {
		return nil
	}
	return names
}

// placeholders adds the members that a template refers to by their names.
func placeholders(fields object, template, kind string) {
	for _, p := range expr.Compile(template).Paths() {
		if key, ok := p.Name(); ok && fields[key] == nil {
			if kind == "" {
				fields[key] = object{}
			} else {
				fields[key] = object{"type": kind}
			}
		}
	}
}

func schemaType(d Datapoint) string {
	if expr.Compile(d.Value).Path() == nil {
		return ""
	}
	switch expr.TypeOf(d.Type) {
	case expr.Int:
		return "integer"
	case expr.Float:
		return "number"
	case expr.Bool:
		return "boolean"
	case expr.String:
		return "string"
	case expr.Auto, expr.JSON:
	}
	return ""
}
