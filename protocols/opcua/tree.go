package opcua

import (
	"context"
	"fmt"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// A child is what a node refers to in the hierarchy.
type child struct {
	id        *ua.NodeID
	namespace uint16
	name      string
	class     ua.NodeClass
}

// A tree is the part of a server's address space that one search has seen. Each
// node is browsed once, and many with one request. It is used by one goroutine.
type tree struct {
	link     *link
	children map[string][]child
}

func newTree(l *link) *tree { return &tree{link: l, children: make(map[string][]child)} }

// load browses those of ids that were not yet. A node that cannot be browsed has
// no children.
func (t *tree) load(ctx context.Context, ids []*ua.NodeID) error {
	var missing []*ua.NodeID
	for _, n := range ids {
		if _, ok := t.children[n.String()]; !ok {
			t.children[n.String()] = nil
			missing = append(missing, n)
		}
	}
	return chunks(len(missing), t.link.limits.browses, func(i int) int { return nodeBytes(missing[i]) + 16 }, func(from, to int) error {
		return t.browse(ctx, missing[from:to])
	}, func(int, error) {})
}

func (t *tree) browse(ctx context.Context, ids []*ua.NodeID) error {
	req := &ua.BrowseRequest{
		View:                          &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		RequestedMaxReferencesPerNode: maxReferences,
	}
	for _, n := range ids {
		req.NodesToBrowse = append(req.NodesToBrowse, &ua.BrowseDescription{
			NodeID: n, BrowseDirection: ua.BrowseDirectionForward, IncludeSubtypes: true,
			ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), ResultMask: uint32(ua.BrowseResultMaskAll),
		})
	}
	res, err := send[*ua.BrowseResponse](ctx, t.link, req)
	if err != nil {
		return err
	}
	if len(res.Results) != len(ids) {
		return fmt.Errorf("%d nodes were browsed, the answer has %d", len(ids), len(res.Results))
	}
	var again []*ua.NodeID
	for i, r := range res.Results {
		if r.StatusCode == ua.StatusBadNoContinuationPoints && len(ids) > 1 {
			again = append(again, ids[i])
			continue
		}
		if err := t.take(ctx, ids[i].String(), r); err != nil {
			return err
		}
	}
	for _, n := range again { // one by one: the server remembers the rest of few nodes only
		if err := t.browse(ctx, []*ua.NodeID{n}); err != nil {
			return err
		}
	}
	return nil
}

// take adds the references of a node, and asks for the rest if there is more.
func (t *tree) take(ctx context.Context, parent string, r *ua.BrowseResult) error {
	seen := make(map[string]bool)
	for {
		before := len(seen)
		for _, ref := range r.References {
			if ref.NodeID == nil || ref.BrowseName == nil || ref.NodeID.HasServerIndex() || ref.NodeID.HasNamespaceURI() {
				continue // it is on another server
			}
			n := ua.NewNodeIDFromExpandedNodeID(ref.NodeID)
			if key := n.String(); !seen[key] {
				seen[key] = true
				t.children[parent] = append(t.children[parent], child{n, ref.BrowseName.NamespaceIndex, ref.BrowseName.Name, ref.NodeClass})
			}
		}
		if len(r.ContinuationPoint) == 0 || len(seen) == before {
			return nil // there is no more, or the server goes round in circles
		}
		next, err := send[*ua.BrowseNextResponse](ctx, t.link, &ua.BrowseNextRequest{ContinuationPoints: [][]byte{r.ContinuationPoint}})
		if lost(err) {
			return err
		}
		if err != nil || len(next.Results) != 1 {
			return nil // what came is what there is
		}
		r = next.Results[0]
	}
}

// A query is an address that is looked for from a node.
type query struct {
	address address
	from    *ua.NodeID // of relative paths

	found []*ua.NodeID // the answer
	err   error        // why there is none, other than that there is no such node
}

// resolve answers queries, all together level by level, so that the number of
// requests depends on the depth of the paths and not on how many there are.
func (t *tree) resolve(ctx context.Context, queries []*query) error {
	depth := 0
	for _, q := range queries {
		q.start(t.link.namespaces)
		depth = max(depth, len(q.address.path))
	}
	for level := range depth {
		var parents []*ua.NodeID
		for _, q := range queries {
			if level < len(q.address.path) {
				parents = append(parents, q.found...)
			}
		}
		if err := t.load(ctx, parents); err != nil {
			return err
		}
		for _, q := range queries {
			if level < len(q.address.path) {
				q.descend(t, q.address.path[level])
			}
		}
	}
	return nil
}

func (q *query) start(namespaces []string) {
	n, err := q.address.fixed(namespaces)
	q.err = err
	switch {
	case err != nil:
	case n != nil:
		q.found = []*ua.NodeID{n}
	case q.address.absolute:
		q.found = []*ua.NodeID{ua.NewNumericNodeID(0, rootID)}
	case q.from != nil:
		q.found = []*ua.NodeID{q.from}
	}
}

func (q *query) descend(t *tree, s segment) {
	var next []*ua.NodeID
	for _, parent := range q.found {
		for _, c := range s.matches(t.children[parent.String()]) {
			next = append(next, c.id)
		}
	}
	q.found = next
}
