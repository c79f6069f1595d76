package opcua

import (
	"context"
	"fmt"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A Node is a node of a server, as [Browse] finds it.
type Node struct {
	Depth int    // below the node where browsing started
	ID    string // identifier, such as "ns=2;s=Pump"
	Name  string // browse name with the index of its namespace, such as "2:Pump"
	Path  string // path that a Config can name the node by
	Class string // Object, Variable, Method and so on

	// Value and Status are those of a variable. A value that is bad or null is
	// the zero Value.
	Value  telemetry.Value
	Status string

	// Again says that the node was visited before, on another path; its
	// children are not visited again.
	Again bool
}

// BrowseOptions say what Browse visits. The zero value means all below the folder
// Objects, with values.
type BrowseOptions struct {
	Start    string // node identifier or path of the first node; empty: Root\.Objects
	MaxDepth int    // zero: 100
	NoValues bool
}

// Browse connects to the server of cfg, of which mappings are not needed, and calls
// visit with the nodes of its tree, each node before its children. An error of visit
// ends it, and is returned.
func Browse(ctx context.Context, cfg Config, opts BrowseOptions, visit func(Node) error) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("opcua: %w", err)
	}
	cred, err := loadCredentials(cfg)
	if err != nil {
		return fmt.Errorf("opcua: %w", err)
	}
	l, err := dial(ctx, cfg, cred)
	if err != nil {
		return fmt.Errorf("opcua: %s: %w", cfg.URL, err)
	}
	defer l.close(true)
	b := &browser{link: l, tree: newTree(l), opts: opts, visit: visit, seen: make(map[string]bool)}
	if b.opts.MaxDepth <= 0 {
		b.opts.MaxDepth = 100
	}
	if b.opts.Start == "" {
		b.opts.Start = `Root\.Objects`
	}
	return b.run(ctx)
}

type browser struct {
	link  *link
	tree  *tree
	opts  BrowseOptions
	visit func(Node) error
	seen  map[string]bool
}

func (b *browser) run(ctx context.Context) error {
	a, err := parseAddress(b.opts.Start)
	if err != nil {
		return fmt.Errorf("opcua: start: %w", err)
	}
	q := &query{address: a}
	if err := b.tree.resolve(ctx, []*query{q}); err != nil {
		return fmt.Errorf("opcua: %w", err)
	}
	if q.err != nil || len(q.found) == 0 {
		return fmt.Errorf("opcua: start: there is no node %s", b.opts.Start)
	}
	names, err := b.link.readAll(ctx, ua.AttributeIDBrowseName, q.found[:1])
	if err != nil {
		return fmt.Errorf("opcua: %w", err)
	}
	first := child{id: q.found[0], name: b.opts.Start, class: ua.NodeClassObject}
	if v := names[0].Value; v != nil {
		if name, ok := v.Value().(*ua.QualifiedName); ok {
			first.name, first.namespace = name.Name, name.NamespaceIndex
		}
	}
	return b.walk(ctx, first, b.opts.Start, 0)
}

// walk visits the children of a node that was visited.
func (b *browser) walk(ctx context.Context, c child, path string, depth int) error {
	if depth == 0 {
		if err := b.visit(b.node(c, path, depth, nil)); err != nil {
			return err
		}
		b.seen[c.id.String()] = true
	}
	if depth >= b.opts.MaxDepth {
		return nil
	}
	if err := b.tree.load(ctx, []*ua.NodeID{c.id}); err != nil {
		return fmt.Errorf("opcua: browse %s: %w", c.id, err)
	}
	children := b.tree.children[c.id.String()]
	values, err := b.values(ctx, children)
	if err != nil {
		return fmt.Errorf("opcua: read the values below %s: %w", c.id, err)
	}
	for i, next := range children {
		below := path + separator + fmt.Sprintf("%d:%s", next.namespace, next.name)
		n := b.node(next, below, depth+1, values[i])
		n.Again = b.seen[n.ID]
		if err := b.visit(n); err != nil {
			return err
		}
		if n.Again {
			continue
		}
		b.seen[n.ID] = true
		if err := b.walk(ctx, next, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// values reads the values of the variables among nodes; others have none.
func (b *browser) values(ctx context.Context, nodes []child) ([]*ua.DataValue, error) {
	all := make([]*ua.DataValue, len(nodes))
	var ids []*ua.NodeID
	var at []int
	for i, c := range nodes {
		if c.class == ua.NodeClassVariable && !b.opts.NoValues {
			ids, at = append(ids, c.id), append(at, i)
		}
	}
	values, err := b.link.readAll(ctx, ua.AttributeIDValue, ids)
	for i, v := range values {
		if v != nil && unexplained(v.Value) && b.link.types.learnAll(ctx, v.Value) {
			again, err := b.link.readAll(ctx, ua.AttributeIDValue, ids[i:i+1])
			if err != nil {
				return nil, err
			}
			v = again[0]
		}
		all[at[i]] = v
	}
	return all, err
}

func (b *browser) node(c child, path string, depth int, v *ua.DataValue) Node {
	n := Node{
		Depth: depth, ID: c.id.String(), Name: fmt.Sprintf("%d:%s", c.namespace, c.name), Path: path,
		Class: shortClass(c.class),
	}
	if v == nil {
		return n
	}
	n.Status = statusName(v.Status)
	if v.Status == 0 {
		n.Status = good
	}
	if !bad(v.Status) {
		n.Value, _ = valueOf(v.Value, b.link.types, false)
	}
	return n
}

func shortClass(c ua.NodeClass) string {
	const prefix = len("NodeClass")
	if s := c.String(); len(s) > prefix {
		return s[prefix:]
	}
	return "Unspecified"
}
