package snmp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/gridlinks/iot-gateway/connector/poll"
)

const (
	// An object that an agent refuses, which costs a request of its own each time,
	// is asked for again after retryShortest, and then after delays that double up
	// to retryLongest.
	retryShortest = time.Minute
	retryLongest  = time.Hour
)

// A slot is an object to read, and what the last request said of it.
type slot struct {
	oid string
	pdu gosnmp.SnmpPDU
	err error

	retry time.Duration // the delay that led to until; zero: it is not refused
	until time.Time
}

func (s *slot) answer(pdu gosnmp.SnmpPDU) {
	s.pdu, s.err, s.retry = pdu, nil, 0
}

// refuse notes an error of the agent.
func (s *slot) refuse(err error, now time.Time) {
	s.err = err
	s.retry = min(max(2*s.retry, retryShortest), retryLongest)
	s.until = now.Add(s.retry)
}

// An agentError is an error that an agent answered with.
type agentError struct{ code gosnmp.SNMPError }

func (e agentError) Error() string {
	name := e.code.String()
	return fmt.Sprintf("the agent answers %s (error %d)", lowerFirst(name), uint8(e.code))
}

func lowerFirst(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}

var errLacking = errors.New("the answer lacks the object")

// A tally counts the requests of a poll.
type tally struct {
	turn     *poll.Turn // nil in a command
	answers  int
	silences int
}

// silenceLimit is how many requests of a poll may remain unanswered before the poll
// is given up.
const silenceLimit = 2

// read asks for slots in as few requests as the agent allows. What it says of each
// is in the slot. The error is that of the agent as a whole: it does not answer.
func (t *target) read(ctx context.Context, n *tally, next bool, slots []*slot) error {
	for len(slots) > 0 {
		chunk := slots[:min(len(slots), t.limit)]
		slots = slots[len(chunk):]
		if err := t.readChunk(ctx, n, next, chunk); err != nil {
			return err
		}
	}
	return nil
}

// readChunk asks for slots in one request, and more if the agent refuses it.
func (t *target) readChunk(ctx context.Context, n *tally, next bool, slots []*slot) error {
	for len(slots) > 0 {
		answer, err := t.ask(ctx, n, next, slots)
		switch {
		case err != nil && len(slots) > max(t.proven, 1) && errors.Is(err, errTimeout) && t.alive(ctx, n, next, slots[0]):
			t.limit = max(len(slots)/2, 1)
			return t.read(ctx, n, next, slots)
		case err != nil:
			return t.unanswered(n, slots, err)
		case answer.Error == gosnmp.NoError:
			t.proven = max(t.proven, len(slots))
			match(slots, answer.Variables, next)
			return nil
		case answer.Error == gosnmp.TooBig && len(slots) > 1:
			t.limit = len(slots) / 2
			return t.read(ctx, n, next, slots)
		}
		i := int(answer.ErrorIndex) - 1
		if len(slots) == 1 {
			i = 0
		}
		if i < 0 || i >= len(slots) { // the agent does not say which
			half := len(slots) / 2
			if err := t.readChunk(ctx, n, next, slots[:half]); err != nil {
				return err
			}
			slots = slots[half:]
			continue
		}
		slots[i].refuse(agentError{answer.Error}, time.Now())
		rest := make([]*slot, 0, len(slots)-1)
		slots = append(append(rest, slots[:i]...), slots[i+1:]...)
	}
	return nil
}

// unanswered notes that a request for slots was not answered, which is a failure of
// the poll only if nothing else is.
func (t *target) unanswered(n *tally, slots []*slot, err error) error {
	t.healthy = false
	n.silences++
	if n.answers == 0 || n.silences >= silenceLimit || n.turn == nil {
		return err
	}
	for _, s := range slots {
		s.err = err
	}
	return nil
}

// ask sends one request for slots.
func (t *target) ask(ctx context.Context, n *tally, next bool, slots []*slot) (*gosnmp.SnmpPacket, error) {
	oids := make([]string, len(slots))
	for i, s := range slots {
		oids[i] = s.oid
	}
	return t.request(ctx, n, func(s *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		if next {
			return s.GetNext(oids)
		}
		return s.Get(oids)
	})
}

// request sends a request, behind the commands that wait.
func (t *target) request(ctx context.Context, n *tally, send func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)) (*gosnmp.SnmpPacket, error) {
	if n.turn != nil && n.answers+n.silences > 0 {
		if err := n.turn.Yield(ctx); err != nil {
			return nil, err
		}
	}
	retries := 0
	if t.healthy || n.turn == nil {
		retries = max(t.device.Retries, 0)
	}
	answer, err := t.client.do(ctx, retries, send)
	if err == nil {
		n.answers++
		t.healthy = true
	}
	return answer, err
}

// alive finds out whether an agent that has not answered a large request answers a
// small one.
func (t *target) alive(ctx context.Context, n *tally, next bool, first *slot) bool {
	_, err := t.ask(ctx, n, next, []*slot{first})
	return err == nil
}

// match puts the variables of an answer into their slots. Those of a GET come in
// order and under the name that was asked for; some agents mix them up.
func match(slots []*slot, variables []gosnmp.SnmpPDU, next bool) {
	for i, s := range slots {
		switch {
		case i < len(variables) && (next || plain(variables[i].Name) == s.oid):
			s.answer(variables[i])
		default:
			s.err = errLacking
			for _, v := range variables {
				if !next && plain(v.Name) == s.oid {
					s.answer(v)
				}
			}
		}
	}
}
