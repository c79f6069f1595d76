package table

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A Target is a server, and what is known about how it is set up.
type Target struct {
	Broker string      // tcp://host:port or tls://host:port
	TLS    *tls.Config // for tls; nil: the system's roots

	Token       string // of a gateway
	DeviceToken string // of a device that is not a gateway; empty: none is known

	// ProvisionKey and ProvisionSecret are those of a device profile. Empty:
	// there is none.
	ProvisionKey, ProvisionSecret string

	// Prefix starts the names of the devices that rows create.
	Prefix string

	// Has are further needs that are met.
	Has []Need

	// Operate carries out an operation and returns the reply to a call. Nil:
	// nobody can.
	Operate func(context.Context, Operation) (json.RawMessage, error)

	// Timeout bounds the wait for each expected packet; zero: 10 s. Quiet is
	// how long nothing more may come after the last of a step; zero: 300 ms.
	Timeout, Quiet time.Duration
}

func (t Target) meets(n Need) bool {
	switch n {
	case NeedNothing:
		return true
	case NeedPlainDevice:
		return t.DeviceToken != ""
	case NeedProvisioning:
		return t.ProvisionKey != ""
	case NeedOperator:
		return t.Operate != nil
	default:
		return slices.Contains(t.Has, n)
	}
}

func (t Target) withDefaults() Target {
	t.Timeout = cmp.Or(max(t.Timeout, 0), 10*time.Second)
	t.Quiet = cmp.Or(max(t.Quiet, 0), 300*time.Millisecond)
	return t
}

// Reach returns why there is no connection to the server, if there is none.
func (t Target) Reach(ctx context.Context) error {
	t = t.withDefaults()
	c, err := dial(ctx, t.Broker, t.TLS, 4, t.Timeout)
	if err != nil {
		return err
	}
	c.close()
	return nil
}

// A Verdict is what became of a row.
type Verdict string

// The verdicts.
const (
	Pass    Verdict = "PASS"
	Differs Verdict = "DIFFERS"
	NotRun  Verdict = "NOT RUN"
)

// A Result is what a server did with a row.
type Result struct {
	Row     string   `json:"row"`
	Source  string   `json:"source"`
	MQTT    string   `json:"mqtt"` // "3.1.1" or "5"
	Verdict Verdict  `json:"verdict"`
	Want    []string `json:"want,omitempty"`
	Got     []string `json:"got,omitempty"`
	Why     string   `json:"why,omitempty"` // it was not run, or could not be carried out
}

// Devices returns the names of the devices that a row may create.
func (r Row) Devices(t Target, version byte, number int) []string {
	name := fmt.Sprintf("%s-%d-%d", t.Prefix, version, number)
	return []string{name, name + "e"}
}

// Run plays a row over MQTT 3.1.1 (version 4) or MQTT 5 (version 5). The number
// makes the names of its devices unique. The server and the network have the
// time of the target for each step, so that Run returns whatever they do.
func Run(ctx context.Context, t Target, r Row, version byte, number int) Result {
	res := Result{Row: r.Name, Source: r.Source, MQTT: "5"}
	if version != 5 {
		res.MQTT = "3.1.1"
	}
	if !t.meets(r.Needs) {
		res.Verdict, res.Why = NotRun, "needs "+string(r.Needs)
		return res
	}
	t = t.withDefaults()
	p := &player{target: t, row: r, version: version, res: &res, names: r.Devices(t, version, number)}
	if err := p.play(ctx); err != nil {
		res.Verdict, res.Why = Differs, err.Error()
	}
	return res
}

// A player plays one row.
type player struct {
	target  Target
	row     Row
	version byte
	res     *Result
	names   []string
	conn    *conn
	matcher matcher
	replies chan string // of operations
}

func (p *player) play(ctx context.Context) error {
	c, err := dial(ctx, p.target.Broker, p.target.TLS, p.version, p.target.Timeout)
	if err != nil {
		return err
	}
	p.conn, p.replies = c, make(chan string, 1)
	ctx, cancel := context.WithCancel(ctx)
	var operations sync.WaitGroup
	defer operations.Wait()
	defer c.close()
	defer cancel()
	p.res.Verdict = Pass
	login := p.row.Login
	if login.Want == nil {
		login.Want = []string{"CONNACK 0"}
	}
	_ = c.send(p.connect(login))
	open := p.expect(ctx, p.wanted(login.Want, login.Want3), len(p.row.Steps) == 0)
	for i, s := range p.row.Steps {
		if !open {
			return nil
		}
		if s.Operate != nil {
			operations.Go(func() { p.operate(ctx, *s.Operate) })
		} else {
			// A server that closes while it is written to is seen by its end.
			_ = c.send(p.packet(s))
		}
		open = p.expect(ctx, p.wanted(s.Want, s.Want3), i == len(p.row.Steps)-1)
	}
	return nil
}

// wanted returns what is expected on the version of the player.
func (p *player) wanted(want, want3 []string) []string {
	if p.version != 5 {
		if want3 == nil {
			want3 = without(want)
		}
		want = want3
	}
	out := make([]string, len(want))
	for i, w := range want {
		out[i] = p.fill(w)
	}
	return out
}

// fill replaces the words that stand for something.
func (p *player) fill(s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	return strings.NewReplacer(
		"$d", p.names[0], "$e", p.names[1], "$key", p.target.ProvisionKey, "$secret", p.target.ProvisionSecret,
		"$long", p.names[0]+strings.Repeat("x", 300), "$huge", strings.Repeat("x", 70_000),
	).Replace(s)
}

// expect waits for what is wanted and then, quietly, for more. It reports
// whether everything was right and the connection is still open. After the last
// step a PINGREQ shows that it is.
func (p *player) expect(ctx context.Context, want []string, last bool) (open bool) {
	p.res.Want = append(p.res.Want, want...)
	var wanted, got observed
	for _, w := range want {
		wanted.add(w)
	}
	right, complete := p.compare(&wanted, &got)
	for right && !complete && !got.ended() {
		e, ok := p.next(ctx, p.target.Timeout)
		if !ok {
			break
		}
		got.add(e)
		right, complete = p.compare(&wanted, &got)
	}
	if !got.ended() && (last || len(want) == 0) {
		p.linger(ctx, &got, !p.row.NoPing && !wanted.ended())
		right, complete = p.compare(&wanted, &got)
	}
	p.res.Got = append(p.res.Got, slices.Concat(got.packets, got.replies)...)
	if !right || !complete {
		p.res.Verdict = Differs
	}
	return right && complete && !got.ended()
}

// compare compares what came with what was wanted.
func (p *player) compare(wanted, got *observed) (right, complete bool) {
	right, complete = p.matcher.all(wanted.packets, got.packets)
	replied, all := p.matcher.all(wanted.replies, got.replies)
	return right && replied, complete && all
}

// observed is what comes during a step. Replies of operations have no order
// among the packets.
type observed struct{ packets, replies []string }

func (o *observed) add(e string) {
	if strings.HasPrefix(e, "REPLY ") || strings.HasPrefix(e, "FAILED ") {
		o.replies = append(o.replies, e)
		return
	}
	o.packets = append(o.packets, e)
}

func (o *observed) ended() bool {
	n := len(o.packets)
	return n > 0 && o.packets[n-1] == "closed"
}

// linger adds what comes until it has been quiet, and until a PINGREQ is
// answered.
func (p *player) linger(ctx context.Context, got *observed, ping bool) {
	for !got.ended() {
		e, ok := p.next(ctx, p.target.Quiet)
		if !ok {
			break
		}
		got.add(e)
	}
	if !ping || got.ended() {
		return
	}
	_ = p.conn.send(&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	for !got.ended() {
		e, ok := p.next(ctx, p.target.Timeout)
		if !ok {
			e = "no PINGRESP"
		}
		if e == "PINGRESP" {
			return
		}
		if got.add(e); !ok {
			return
		}
	}
}

// next returns the next event, unless none comes in time.
func (p *player) next(ctx context.Context, wait time.Duration) (string, bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case e, ok := <-p.conn.events:
		if !ok {
			return "closed", true
		}
		return e, true
	case e := <-p.replies:
		return e, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return "", false
}

// operate carries out an operation; what it returns becomes an event.
func (p *player) operate(ctx context.Context, o Operation) {
	o.Device, o.To, o.Key = p.fill(o.Device), p.fill(o.To), p.fill(o.Key)
	reply, err := p.target.Operate(ctx, o)
	e := "REPLY " + string(reply)
	switch {
	case err != nil:
		e = "FAILED " + err.Error()
	case reply == nil:
		e = "REPLY null"
	}
	select {
	case p.replies <- e:
	case <-ctx.Done():
	}
}
