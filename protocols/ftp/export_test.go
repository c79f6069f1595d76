package ftp

import (
	"context"
	"encoding/json"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/connector/poll"
	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// ReadServer is what Type reads a server with.
var ReadServer ServerReader = readServer

// PollOnce polls all paths once, in a run of its own.
func PollOnce(ctx context.Context, c connector.Connector, host connector.Host) error {
	f := c.(*Connector)
	if f.err != nil {
		return f.err
	}
	j, err := openJournal(f.cfg.State, f.cfg.Server)
	if err != nil {
		return err
	}
	defer j.close()
	r := &run{c: f, host: host, log: host.Logger(), ctx: ctx, journal: j, last: j.last()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var result error
	lane, err := poll.NewLane(poll.Config{Open: r.open, Close: r.close}, poll.Device{Name: "all", Jobs: []poll.Job{{
		Interval: 1 << 40,
		Poll: func(ctx context.Context, t *poll.Turn) error {
			for _, p := range f.all.paths {
				if result = r.poll(ctx, p, t); result != nil {
					break
				}
			}
			cancel()
			return nil
		},
	}}})
	if err != nil {
		return err
	}
	_ = lane.Run(ctx)
	return result
}

// LoadWith reads a configuration with a reader.
func LoadWith(r *conf.Reader, doc json.RawMessage) error {
	_, err := loader{server: readServer}.Load(r, doc, connector.Env{})
	return err
}

// Load reads a configuration.
func Load(doc string) (Config, error) {
	return loader{server: readServer}.Load(conf.NewReader(nil), json.RawMessage(doc), connector.Env{})
}

// Convert converts the content of a file by the first path of cfg.
func Convert(cfg Config, name string, data []byte, out *telemetry.Batch) error {
	all, err := cfg.compile()
	if err != nil {
		return err
	}
	c, err := all.paths[0].open(name, data, "")
	if err != nil {
		return err
	}
	for i := range c.len() {
		if err := c.convert(i, 0, out); err != nil {
			return err
		}
	}
	return nil
}

// Table returns what converts a row of a table, again and again.
func Table(cfg Config, data []byte) (convert func(i int, out *telemetry.Batch) error, rows int) {
	all, err := cfg.compile()
	if err != nil {
		panic(err)
	}
	c, err := all.paths[0].open("a.csv", data, "")
	if err != nil {
		panic(err)
	}
	return func(i int, out *telemetry.Batch) error { return c.convert(i, 1, out) }, c.len()
}

// Matches reports whether a pattern's only segment matches a name.
func Matches(pattern, name string) (bool, error) {
	p, err := compilePattern(pattern)
	return err == nil && p.segments[len(p.segments)-1].match(name), err
}

// ReadJournal returns how many states a journal for a server has.
func ReadJournal(data []byte, server string) int {
	j := &journal{server: server, states: make(map[string]*fileState)}
	j.read(data)
	_ = j.last()
	return len(j.states)
}

// Dial connects once.
func Dial(ctx context.Context, cfg Config) error {
	s, err := New(cfg).cfg.Dial(ctx)
	if err == nil {
		_ = s.Close()
	}
	return err
}
