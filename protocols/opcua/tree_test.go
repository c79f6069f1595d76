package opcua_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopcua/opcua/ua"
	"github.com/stretchr/testify/require"
)

// A tree is the address space of a live vector.
type tree struct {
	Objects []struct {
		BrowseName string
		Children   json.RawMessage
		Methods    map[string]string
	}
	Variables []struct {
		NodeID, BrowseName string
		Value              json.RawMessage
	}
}

const defaultTree = `{"objects":[
	{"browseName":"2:MyObject1","children":{"2:Temp":["Double",21.5],"2:Name":["String","Boiler"],"2:Flag":["Boolean",true],
	 "2:Cnt":["Int16",7],"2:Sub":{"2:Deep":["Double",1.25]}},"methods":{"2:mul":""}},
	{"browseName":"2:MyObject2","children":{"2:Temp":["Float",33.0],"2:Name":["String","Chiller"]}},
	{"browseName":"2:Group","children":{"3:Inner.Dot":{"2:Val":["Int32",5]}}}],
	"variables":[{"nodeId":"ns=2;s=My.String.Id","browseName":"2:StrIdVar","value":["String","sv"]}]}`

// grow makes the tree on a server. Objects have the numbers 1, 2 and so on.
func (s *fakeServer) grow(doc json.RawMessage) {
	s.tb.Helper()
	if doc == nil || doc[0] != '{' { // it is described in words
		doc = json.RawMessage(defaultTree)
	}
	var t tree
	require.NoError(s.tb, json.Unmarshal(doc, &t))
	next := 100
	var children func(parent *fakeNode, doc json.RawMessage)
	children = func(parent *fakeNode, doc json.RawMessage) {
		var m map[string]json.RawMessage
		require.NoError(s.tb, json.Unmarshal(doc, &m))
		for _, name := range slices.Sorted(maps.Keys(m)) {
			next++
			id := fmt.Sprintf("ns=2;i=%d", next)
			if m[name][0] == '{' {
				children(s.add(parent, id, name), m[name])
				continue
			}
			s.grown(parent, id, name, m[name])
		}
	}
	for i, o := range t.Objects {
		n := s.add(s.objects, fmt.Sprintf("ns=2;i=%d", i+1), o.BrowseName)
		children(n, o.Children)
		for name := range o.Methods {
			next++
			s.multiplier(n, fmt.Sprintf("ns=2;i=%d", next), name)
		}
	}
	for _, v := range t.Variables {
		s.grown(s.objects, v.NodeID, v.BrowseName, v.Value)
	}
}

func (s *fakeServer) grown(parent *fakeNode, id, name string, doc json.RawMessage) {
	s.tb.Helper()
	var pair [2]json.RawMessage
	require.NoError(s.tb, json.Unmarshal(doc, &pair))
	s.variable(parent, id, name, variant(s.tb, strings.Trim(string(pair[0]), `"`), pair[1]).Value())
}

// multiplier adds a method that multiplies two Int64.
func (s *fakeServer) multiplier(parent *fakeNode, id, name string) *fakeNode {
	m := s.add(parent, id, name)
	m.class = ua.NodeClassMethod
	m.call = func(args []*ua.Variant) ([]*ua.Variant, ua.StatusCode) {
		if len(args) != 2 || args[0].Type() != ua.TypeIDInt64 || args[1].Type() != ua.TypeIDInt64 {
			return nil, ua.StatusBadInvalidArgument
		}
		return []*ua.Variant{ua.MustVariant(args[0].Value().(int64) * args[1].Value().(int64))}, ua.StatusOK
	}
	return m
}
