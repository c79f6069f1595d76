package opcua

import (
	"context"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"
)

// readItems reads the values of items. One that cannot be read has a value whose
// status says why.
func (l *link) readItems(ctx context.Context, items []*item) ([]*ua.DataValue, error) {
	values := make([]*ua.DataValue, len(items))
	err := l.eachRead(ctx, items, func(i int, v *ua.DataValue) error {
		values[i] = v
		return nil
	}, func() error { return nil })
	return values, err
}

// eachRead reads the values of items, calls f with each, and then with the end of
// each answer.
func (l *link) eachRead(ctx context.Context, items []*item, f func(i int, v *ua.DataValue) error, end func() error) error {
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnBoth}
	var fatal error
	err := chunks(len(items), l.limits.reads, func(i int) int { return nodeBytes(items[i].id) }, func(from, to int) error {
		req.NodesToRead = req.NodesToRead[:0]
		for _, it := range items[from:to] {
			req.NodesToRead = append(req.NodesToRead, it.read)
		}
		res, err := send[*ua.ReadResponse](ctx, l, req)
		if err != nil {
			return err
		}
		if len(res.Results) != to-from {
			return fmt.Errorf("%d values were read, the answer has %d", to-from, len(res.Results))
		}
		for i, v := range res.Results {
			if fatal = f(from+i, v); fatal != nil {
				return errStop
			}
		}
		if fatal = end(); fatal != nil {
			return errStop
		}
		return nil
	}, func(i int, err error) {
		if fatal == nil {
			fatal = f(i, &ua.DataValue{Status: statusOf(err)})
		}
	})
	if fatal != nil {
		return fatal
	}
	return err
}

// errStop ends chunks at once.
var errStop = fmt.Errorf("stop: %w", context.Canceled)

// poll reads the values of items and submits them. All values of a poll carry one
// time, unless they bring theirs.
func (u *uplink) poll(ctx context.Context, l *link, items []*item) error {
	now := time.Now().UnixMilli()
	err := l.eachRead(ctx, items, func(i int, v *ua.DataValue) error {
		u.add(items[i], v, now)
		if u.full() {
			return u.fatal(ctx)
		}
		return nil
	}, func() error { return u.fatal(ctx) })
	if err != nil {
		return err
	}
	if err := u.fatal(ctx); err != nil {
		return err
	}
	return u.explain(ctx, l)
}

// fatal submits the batch, and marks an error as one that ends the run.
func (u *uplink) fatal(ctx context.Context) error {
	if err := u.submit(ctx); err != nil {
		return fatalError{err}
	}
	return nil
}

// A fatalError ends Run: the gateway does not accept data.
type fatalError struct{ error }

// Unwrap returns the cause.
func (e fatalError) Unwrap() error { return e.error }
