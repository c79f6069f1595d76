package tbconfig

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A placed connector is one that the files describe.
type placed struct {
	Entry // whose name is that of the connector in the gateway

	name string
	raw  json.RawMessage // its configuration
	made connector.Connector
	opts []gateway.ConnectorOption
	err  error // what is wrong with the configuration; made then fails with it

	accepted json.RawMessage // what the platform has sent, if it is from there
}

// same reports whether p and q describe the same connector.
func (p *placed) same(q *placed) bool {
	return p.err == nil && q.err == nil && p.identity() == q.identity()
}

// identity returns what tells the configurations of one connector apart.
func (p *placed) identity() string { return p.Type + "\x00" + p.Class + "\x00" + canonical(p.raw) }

// place makes the connectors of a list. Those with a name that another one has
// get one of their own, and fail.
func (s *Service) place(entries []Entry) []*placed {
	seen := make(map[string]bool, len(entries))
	all := make([]*placed, 0, len(entries))
	for i, e := range entries {
		p := &placed{Entry: e}
		p.raw, p.err = s.configurationOf(e)
		s.make(p)
		if seen[p.name] {
			p.fail(fmt.Errorf("connectors[%d].name: %q is used twice", i, p.name))
			p.name = fmt.Sprintf("%s (%d)", p.name, i)
		}
		seen[p.name] = true
		all = append(all, p)
	}
	return all
}

// where names what the connector is configured by.
func (p *placed) where() string {
	if p.Configuration == "" {
		return p.name
	}
	return p.Configuration
}

// configurationOf reads the configuration of a connector.
func (s *Service) configurationOf(e Entry) (json.RawMessage, error) {
	if e.Configuration == "" {
		return e.Inline, nil
	}
	path := resolve(s.dir, e.Configuration)
	raw, err := readText(path)
	if err != nil {
		return nil, err
	}
	s.sums[path] = sha256.Sum256(raw)
	var any json.RawMessage
	return raw, decode(path, raw, &any)
}

// make makes the connector of p.
func (s *Service) make(p *placed) {
	p.name = p.Name
	if p.name == "" {
		p.name = p.Type + " " + p.Configuration
	}
	if p.err == nil {
		p.made, p.opts, p.err = p.connector(p.raw, s.dir, s.set, s.log)
	}
	if p.err != nil {
		p.fail(p.err)
	}
}

func (p *placed) fail(err error) {
	p.err = err
	p.made, p.opts = broken{err}, nil
}

// connector makes the connector of e from its configuration. Errors about keys
// begin with the file.
func (e Entry) connector(raw json.RawMessage, dir string, set connector.Set, log *slog.Logger) (connector.Connector, []gateway.ConnectorOption, error) {
	where := e.Configuration
	if where == "" {
		where = "configurationJson"
	}
	if len(raw) == 0 {
		return nil, nil, errors.New("it has neither configuration nor configurationJson")
	}
	name := e.Name
	if name == "" {
		name = e.Type + " " + e.Configuration
	}
	log = log.With("connector", name)
	opts := []gateway.ConnectorOption{gateway.WithType(e.typeIn(set))}
	if fields, err := object(raw); err == nil && len(fields["reportStrategy"]) > 0 {
		r := conf.NewReader(log)
		policy := conf.ReportPolicy(r.Root(raw), nil)
		if err := r.Err(); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", where, err)
		}
		opts = append(opts, gateway.WithPolicy(*policy))
	}
	c, err := set.New(e.typeIn(set), raw, connector.Env{Name: name, Dir: dir, Logger: log})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", where, err)
	}
	return c, opts, nil
}

// typeIn returns the name in set of e's type, which the class names if the
// type is not in the set.
func (e Entry) typeIn(set connector.Set) string {
	if _, ok := set[lower(e.Type)]; !ok && e.Class != "" {
		for name := range set {
			if lower(name) == lower(e.Class) {
				return name
			}
		}
	}
	return lower(e.Type)
}

// broken stands for a connector whose configuration is wrong.
type broken struct{ err error }

func (b broken) Run(context.Context, connector.Host) error { return connector.Permanent(b.err) }

// run brings p into effect: it is added, or takes the place of the connector of
// that name. After an error what was there before is there again.
func (s *Service) run(ctx context.Context, p *placed) error {
	if p.err != nil {
		return p.err
	}
	old, running := s.placed[p.name]
	if running && old.same(p) {
		p.made, p.opts = old.made, old.opts
		s.placed[p.name] = p
		return nil
	}
	var err error
	switch {
	case !running:
		if err = s.manager.Add(p.name, p.made, p.opts...); err == nil {
			if err = s.settled(ctx, p.name); err != nil {
				err = errors.Join(err, s.manager.Remove(p.name))
			}
		}
	case s.stateOf(p.name).State == gateway.Running:
		err = s.manager.Replace(ctx, p.name, p.made, s.cfg.ConnectorTrial, p.opts...)
	default: // the old one does not work either
		if err = s.manager.Replace(ctx, p.name, p.made, 0, p.opts...); err == nil {
			if err = s.settled(ctx, p.name); err != nil {
				err = errors.Join(err, s.manager.Replace(ctx, p.name, old.made, 0, old.opts...))
			}
		}
	}
	if err != nil {
		return err
	}
	s.placed[p.name] = p
	s.log.Info("connector is configured", "connector", p.name, "type", p.Type, "source", p.where())
	return nil
}

// settleTime is how long a new connector is watched for an error that it does not
// recover from.
const settleTime = 2 * time.Second

// settled waits until a connector is ready, or has failed. It returns an error only
// if it has failed for good; one that finds nobody to talk to goes on trying.
func (s *Service) settled(ctx context.Context, name string) error {
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		switch st := s.stateOf(name); st.State {
		case gateway.Starting:
		case gateway.Failed:
			return fmt.Errorf("it does not start: %w", st.LastError)
		default:
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// remove takes a connector out of the gateway.
func (s *Service) remove(name string) {
	if err := s.manager.Remove(name); err != nil && !errors.Is(err, gateway.ErrUnknown) {
		s.log.Warn("connector that is not configured any more did not end", "connector", name, "error", err)
	}
	delete(s.placed, name)
	s.report(inFile(name), nil)
	s.report(name, nil)
	s.echo.forget(name)
	s.log.Info("connector is removed", "connector", name)
}
