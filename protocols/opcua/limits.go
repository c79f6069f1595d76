package opcua

import (
	"context"
	"errors"
	"fmt"

	"github.com/gopcua/opcua/ua"
)

// Nodes of every server (Part 5, 6.3 and 12).
const (
	serverNamespaces  = 2255
	serverState       = 2259
	maxNodesPerRead   = 11705
	maxNodesPerBrowse = 11710
	maxItemsPerCall   = 11714
)

// What applies where a server names no limit, or names zero, which is none.
const (
	defaultReads   = 1000
	defaultBrowses = 500
	maxReferences  = 1000 // of one node in one answer
)

// maxBytes is the size up to which requests grow: that of one chunk, with room for
// headers and padding.
const maxBytes = 56 << 10

// limits are how much a server takes in one request.
type limits struct {
	reads, browses, items int
}

func (l *link) readNamespaces(ctx context.Context) ([]string, error) {
	res, err := send[*ua.ReadResponse](ctx, l, readRequest(ua.AttributeIDValue, ua.NewNumericNodeID(0, serverNamespaces)))
	if err != nil {
		return nil, err
	}
	if len(res.Results) == 1 && res.Results[0].Value != nil {
		if list, ok := res.Results[0].Value.Value().([]string); ok {
			return list, nil
		}
	}
	return nil, nil // then nobody can use one by its name
}

func (l *link) readLimits(ctx context.Context, cfg Config) (limits, error) {
	lim := limits{reads: defaultReads, browses: defaultBrowses, items: cfg.ItemsPerRequest}
	for id, to := range map[uint32]*int{maxNodesPerRead: &lim.reads, maxNodesPerBrowse: &lim.browses, maxItemsPerCall: &lim.items} {
		res, err := send[*ua.ReadResponse](ctx, l, readRequest(ua.AttributeIDValue, ua.NewNumericNodeID(0, id)))
		if lost(err) {
			return lim, err
		}
		if err == nil && len(res.Results) == 1 {
			*to = lower(*to, res.Results[0])
		}
	}
	return lim, nil
}

// lower returns the limit in v if it is lower than n.
func lower(n int, v *ua.DataValue) int {
	if v.Value == nil || bad(v.Status) {
		return n
	}
	if limit, ok := v.Value.Value().(uint32); ok && limit > 0 && int64(limit) < int64(n) {
		return int(limit)
	}
	return n
}

func readRequest(attribute ua.AttributeID, ids ...*ua.NodeID) *ua.ReadRequest {
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnBoth}
	for _, id := range ids {
		req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: id, AttributeID: attribute, DataEncoding: &ua.QualifiedName{}})
	}
	return req
}

// nodeBytes is about how many bytes an identifier takes in a request.
func nodeBytes(id *ua.NodeID) int { return 24 + len(id.StringID()) }

// chunks calls f with consecutive parts of 0 to n, each of at most most elements
// and maxBytes, where size returns that of an element. A part that the server
// finds too large is halved; if it is a single element, or fails for another
// reason, f's error goes to failed for a part of one, and ends chunks otherwise.
func chunks(n, most int, size func(i int) int, f func(from, to int) error, failed func(i int, err error)) error {
	for from := 0; from < n; {
		to, bytes := from, 0
		for to < n && to-from < most {
			bytes += size(to)
			if bytes > maxBytes && to > from {
				break
			}
			to++
		}
		if err := halves(from, to, f, failed); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func halves(from, to int, f func(from, to int) error, failed func(i int, err error)) error {
	err := f(from, to)
	switch {
	case err == nil:
		return nil
	case lost(err):
		return err
	case to-from == 1:
		failed(from, err)
		return nil
	case divisible(err):
		middle := (from + to) / 2
		if err := halves(from, middle, f, failed); err != nil {
			return err
		}
		return halves(middle, to, f, failed)
	default:
		return err
	}
}

// divisible reports whether a smaller request may succeed: it, or its answer, was
// too large, or something in the answer cannot be read.
func divisible(err error) bool {
	var status ua.StatusCode
	if !errors.As(err, &status) {
		return true
	}
	switch status {
	case ua.StatusBadTooManyOperations, ua.StatusBadEncodingLimitsExceeded, ua.StatusBadRequestTooLarge, ua.StatusBadResponseTooLarge,
		ua.StatusBadTCPMessageTooLarge, ua.StatusBadDecodingError, ua.StatusBadEncodingError, ua.StatusBadOutOfMemory, ua.StatusBadInternalError:
		return true
	default:
		return false
	}
}

// readAll reads an attribute of nodes. A node that cannot be read has a value
// whose status says why.
func (l *link) readAll(ctx context.Context, attribute ua.AttributeID, ids []*ua.NodeID) ([]*ua.DataValue, error) {
	values := make([]*ua.DataValue, len(ids))
	err := chunks(len(ids), l.limits.reads, func(i int) int { return nodeBytes(ids[i]) }, func(from, to int) error {
		res, err := send[*ua.ReadResponse](ctx, l, readRequest(attribute, ids[from:to]...))
		if err != nil {
			return err
		}
		if len(res.Results) != to-from {
			return fmt.Errorf("%d values were read, the answer has %d", to-from, len(res.Results))
		}
		copy(values[from:], res.Results)
		return nil
	}, func(i int, err error) { values[i] = &ua.DataValue{Status: statusOf(err)} })
	return values, err
}

// statusOf returns the status that an error means.
func statusOf(err error) ua.StatusCode {
	var status ua.StatusCode
	if errors.As(err, &status) {
		return status
	}
	return ua.StatusBadDecodingError
}

// bad reports whether a status is of severity bad (Part 4, 7.39.1).
func bad(s ua.StatusCode) bool { return s&0x80000000 != 0 }
