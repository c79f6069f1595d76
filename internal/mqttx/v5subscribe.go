package mqttx

import (
	"context"
	"errors"
	"fmt"
)

// errNoIdentifier says that 65,535 packets wait for their answers.
var errNoIdentifier = errors.New("mqtt: no packet identifier is free")

func (v *v5) subscribe(ctx context.Context, o SubscribeOptions, subs []Subscription) error {
	for _, s := range subs {
		if s.Filter == "" || len(s.Filter) > maxString || s.QoS > 2 {
			return fmt.Errorf("mqtt: subscription to %.100q with QoS %d is not possible", s.Filter, s.QoS)
		}
	}
	p, err := v.request(ctx, packetSuback, func(id uint16) []byte { return appendSubscribe(nil, id, o, subs) })
	if err != nil {
		return fmt.Errorf("mqtt: subscribe: %w", err)
	}
	if len(p.codes) != len(subs) {
		return fmt.Errorf("mqtt: subscribe: the broker answered for %d filters of %d", len(p.codes), len(subs))
	}
	var errs []error
	for i, code := range p.codes {
		if code >= 0x80 {
			reason := &ReasonError{Code: code, packet: packetSuback}
			errs = append(errs, fmt.Errorf("mqtt: subscription to %q was refused: %w", subs[i].Filter, reason))
		}
	}
	return errors.Join(errs...)
}

func (v *v5) unsubscribe(ctx context.Context, filters []string) error {
	for _, f := range filters {
		if f == "" || len(f) > maxString {
			return fmt.Errorf("not a filter: %.100q", f)
		}
	}
	p, err := v.request(ctx, packetUnsuback, func(id uint16) []byte { return appendUnsubscribe(nil, id, filters) })
	if err != nil {
		return err
	}
	var errs []error
	for i, code := range p.codes {
		if code >= 0x80 && i < len(filters) {
			errs = append(errs, fmt.Errorf("%q: %w", filters[i], &ReasonError{Code: code, packet: packetUnsuback}))
		}
	}
	return errors.Join(errs...)
}

// request sends a packet and waits until it is answered.
func (v *v5) request(ctx context.Context, expect byte, packet func(id uint16) []byte) (*pending, error) {
	p := newPending(expect)
	id, ok := v.inflight.add(p)
	if !ok {
		return nil, errNoIdentifier
	}
	data := packet(id)
	if limit := v.told.MaximumPacketSize; limit > 0 && len(data) > limit {
		v.inflight.take(id, expect)
		return nil, &ReasonError{Code: codeTooLarge}
	}
	if !v.write(data, nil) {
		return nil, v.conn.Err()
	}
	if err := v.conn.wait(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
}
