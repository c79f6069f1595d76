package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Param is a variable of the path, or a parameter of the query.
type Param struct{ Name, Value string }

// An action is what a method of a path does.
type action struct {
	auth     auth
	response *response // nil: none of its own
	intake   *intake   // nil: it takes no data
	serve    func(r *run, w http.ResponseWriter, req *http.Request, vars []Param) answer
}

// A route is a path.
type route struct {
	path    string
	re      *regexp.Regexp // nil: path stands for itself
	names   []string       // of the variables, in the order of the groups
	actions map[string]*action
}

// A router finds routes: those without variables first, and the others in order.
type router struct {
	static  map[string]*route
	dynamic []*route
}

// add adds the methods of a path. They are not to be there yet.
func (rt *router) add(path string, methods []string, a *action, p problems) {
	if path == "" {
		p.add("endpoint", errMissing)
		return
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if len(methods) == 0 {
		p.add("HTTPMethods", errMissing)
	}
	r, err := rt.route(path)
	if err != nil {
		p.add("endpoint", err)
		return
	}
	for _, m := range methods {
		m = strings.ToUpper(strings.TrimSpace(m))
		if m == "" || strings.ContainsFunc(m, func(c rune) bool { return c != '*' && (c < 'A' || c > 'Z') }) {
			p.add("HTTPMethods", fmt.Errorf("%q is no method", m))
			continue
		}
		if r.actions[m] != nil {
			p.add("endpoint", fmt.Errorf("%s %s is there twice", m, path))
			continue
		}
		r.actions[m] = a
	}
}

// route returns the route of a path, which it makes if there is none.
func (rt *router) route(path string) (*route, error) {
	if !strings.ContainsAny(path, "{}") {
		if rt.static == nil {
			rt.static = make(map[string]*route)
		}
		if rt.static[path] == nil {
			rt.static[path] = &route{path: path, actions: make(map[string]*action)}
		}
		return rt.static[path], nil
	}
	for _, r := range rt.dynamic {
		if r.path == path {
			return r, nil
		}
	}
	re, names, err := compilePath(path)
	if err != nil {
		return nil, err
	}
	r := &route{path: path, re: re, names: names, actions: make(map[string]*action)}
	rt.dynamic = append(rt.dynamic, r)
	return r, nil
}

// compilePath compiles a path with variables.
func compilePath(path string) (*regexp.Regexp, []string, error) {
	var pattern strings.Builder
	var names []string
	pattern.WriteByte('^')
	for rest := path; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			open = len(rest)
		}
		if strings.IndexByte(rest[:open], '}') >= 0 {
			return nil, nil, fmt.Errorf("%q has a } without its {", path)
		}
		pattern.WriteString(regexp.QuoteMeta((&url.URL{Path: rest[:open]}).EscapedPath()))
		if open == len(rest) {
			break
		}
		end := closing(rest, open)
		if end < 0 {
			return nil, nil, fmt.Errorf("%q has a { without its }", path)
		}
		name, expression, found := strings.Cut(rest[open+1:end], ":")
		if !found {
			expression = "[^{}/]+"
		}
		if name == "" || slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("%q has a variable without a name of its own", path)
		}
		group, err := regexp.Compile(expression)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: variable %q: %w", path, name, err)
		}
		if group.NumSubexp() > 0 {
			return nil, nil, fmt.Errorf("%q: variable %q: groups have to be (?:...)", path, name)
		}
		names = append(names, name)
		pattern.WriteString("(" + expression + ")")
		rest = rest[end+1:]
	}
	re, err := regexp.Compile(pattern.String() + "$")
	return re, names, err
}

// closing returns where the brace that is open at a place is closed, or -1.
func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// find returns the route of a URL and the variables in it, or nil.
func (rt *router) find(u *url.URL) (*route, []Param) {
	if r := rt.static[u.Path]; r != nil {
		return r, nil
	}
	if len(rt.dynamic) == 0 {
		return nil, nil
	}
	path := u.EscapedPath()
	for _, r := range rt.dynamic {
		groups := r.re.FindStringSubmatch(path)
		if groups == nil {
			continue
		}
		if vars, err := r.vars(groups[1:]); err == nil {
			return r, vars
		}
	}
	return nil, nil
}

func (r *route) vars(values []string) ([]Param, error) {
	var vars []Param
	for i, v := range values {
		text, err := url.PathUnescape(v)
		if err != nil {
			return nil, errors.New("the path is malformed")
		}
		vars = append(vars, Param{r.names[i], text})
	}
	return vars, nil
}

// action returns what a method does, or nil.
func (r *route) action(method string) *action {
	if a := r.actions[method]; a != nil {
		return a
	}
	return r.actions["*"]
}

// methods returns the methods of r for a header.
func (r *route) methods() string {
	var list []string
	for m := range r.actions {
		if m == "*" {
			return "GET, POST, PUT, PATCH, DELETE"
		}
		list = append(list, m)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
