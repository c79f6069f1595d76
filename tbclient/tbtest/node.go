package tbtest

// The platform reads JSON with Gson's lenient reader. A node is what it makes
// of a document.
type node struct {
	kind    nodeKind
	text    string // of a string or a number
	truth   bool
	members []member
	items   []node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	objectNode
	arrayNode
)

// A member of an object. Of members with equal names the last one counts.
type member struct {
	name  string
	value node
}

func (n *node) member(name string) (node, bool) {
	for _, m := range n.members {
		if m.name == name {
			return m.value, true
		}
	}
	return node{}, false
}

// A memberSet collects the members of an object.
type memberSet struct {
	list []member
	at   map[string]int // once there are many; nil: list is searched
}

// set adds a member, or replaces the value of the one of that name.
func (s *memberSet) set(name string, v node) {
	const many = 16
	if s.at == nil && len(s.list) == many {
		s.at = make(map[string]int, 2*many)
		for i := range s.list {
			s.at[s.list[i].name] = i
		}
	}
	if i := s.find(name); i >= 0 {
		s.list[i].value = v
		return
	}
	if s.at != nil {
		s.at[name] = len(s.list)
	}
	s.list = append(s.list, member{name, v})
}

// find returns the index of a member, or -1.
func (s *memberSet) find(name string) int {
	if s.at != nil {
		if i, ok := s.at[name]; ok {
			return i
		}
		return -1
	}
	for i := range s.list {
		if s.list[i].name == name {
			return i
		}
	}
	return -1
}
