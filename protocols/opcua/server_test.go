package opcua_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uasc"
	"github.com/stretchr/testify/require"
)

// A fakeNode is a node of a fake server.
type fakeNode struct {
	id       *ua.NodeID
	name     *ua.QualifiedName
	class    ua.NodeClass
	value    *ua.DataValue
	dataType *ua.NodeID
	children []*fakeNode
	parents  []*fakeNode // by inverse references
	call     func(args []*ua.Variant) ([]*ua.Variant, ua.StatusCode)
	def      *ua.DataValue // DataTypeDefinition
	span     float64       // of the value's range (EURange); zero: it has none
}

// fakeServer is an OPC UA server that misbehaves on demand. It shares the codec with
// the connector; that others understand the connector is shown by the peers.
type fakeServer struct {
	tb   testing.TB
	addr string

	mu       sync.Mutex
	ln       *uacp.Listener
	conns    map[*uacp.Conn]bool
	nodes    map[string]*fakeNode
	objects  *fakeNode
	subs     map[uint32]*fakeSub
	sessions uint32
	limits   map[uint32]uint32        // by the identifier of the limit's node
	refuse   map[string]ua.StatusCode // services, by the type of the request
	refused  map[string]ua.StatusCode // monitored items, by node
	count    map[string]int           // requests, by type
	largest  map[string]int           // operations of one request, by type
	mute     bool                     // answers nothing
	quiet    bool                     // answers no Publish
	drop     int                      // messages of subscriptions that are not sent
	page     int                      // references of an answer; zero: all
	points   int                      // answers of which more can be asked for at a time
	circle   bool                     // more of the same can always be asked for
	rest     map[string][]*ua.ReferenceDescription
	hook     func(req ua.Request) bool // true: is not answered
	wg       sync.WaitGroup
}

type fakeItem struct {
	handle uint32
	id     uint32
	node   string
	filter *ua.DataChangeFilter
	sent   *ua.DataValue
}

// passes reports whether the filter of the item lets a value through.
func (it *fakeItem) passes(n *fakeNode) bool {
	old, isNumber := it.sent.Value.Value().(float64)
	now, _ := n.value.Value.Value().(float64)
	if it.filter == nil || !isNumber {
		return true
	}
	band := it.filter.DeadbandValue
	if it.filter.DeadbandType == 2 {
		band *= n.span / 100
	}
	return math.Abs(now-old) > band
}

type fakeSub struct {
	id      uint32
	channel *uasc.SecureChannel
	items   []fakeItem
	pending []*ua.MonitoredItemNotification
	waiting []func(*ua.NotificationMessage)
	sent    map[uint32]*ua.NotificationMessage
	seq     uint32
	made    uint32
	keep    time.Duration
	last    time.Time
	stop    chan struct{}
}

func newFake(tb testing.TB) *fakeServer {
	tb.Helper()
	s := &fakeServer{
		tb: tb, nodes: make(map[string]*fakeNode), conns: make(map[*uacp.Conn]bool), subs: make(map[uint32]*fakeSub),
		limits: make(map[uint32]uint32), refuse: make(map[string]ua.StatusCode), refused: make(map[string]ua.StatusCode),
		count: make(map[string]int), largest: make(map[string]int), rest: make(map[string][]*ua.ReferenceDescription),
	}
	rootNode := s.add(nil, "i=84", "0:Root")
	s.objects = s.add(rootNode, "i=85", "0:Objects")
	s.variable(nil, "i=2259", "0:State", int32(0))
	s.variable(nil, "i=2255", "0:NamespaceArray", []string{"http://opcfoundation.org/UA/", "urn:fake", "urn:x", "urn:y"})
	s.listen("127.0.0.1:0")
	tb.Cleanup(s.close)
	return s
}

func (s *fakeServer) url() string { return "opc.tcp://" + s.addr }

// listen starts to accept connections.
func (s *fakeServer) listen(addr string) {
	s.tb.Helper()
	ln, err := uacp.Listen(context.Background(), "opc.tcp://"+addr, nil)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		ln, err = uacp.Listen(context.Background(), "opc.tcp://"+addr, nil)
	}
	require.NoError(s.tb, err)
	s.addr = ln.Addr().String()
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept(context.Background())
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				s.wg.Go(func() { s.serve(conn) })
			}
		}
	})
}

// close ends the server as a crash would: connections break, sessions are gone.
func (s *fakeServer) close() {
	s.mu.Lock()
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	for _, sub := range s.subs {
		close(sub.stop)
	}
	clear(s.subs)
	s.mu.Unlock()
	s.wg.Wait()
}

// cut breaks the connections.
func (s *fakeServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

func (s *fakeServer) restart() { s.close(); s.listen(s.addr) }

func nodeID(text string) *ua.NodeID { return ua.MustParseNodeID(text) }

// add makes a node; name is namespace:name.
func (s *fakeServer) add(parent *fakeNode, id, name string) *fakeNode {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &ua.QualifiedName{}
	_, err := fmt.Sscanf(name, "%d:", &q.NamespaceIndex)
	require.NoError(s.tb, err)
	q.Name = name[len(fmt.Sprint(q.NamespaceIndex))+1:]
	n := &fakeNode{id: nodeID(id), name: q, class: ua.NodeClassObject}
	s.nodes[n.id.String()] = n
	if parent != nil {
		parent.children = append(parent.children, n)
	}
	return n
}

func (s *fakeServer) variable(parent *fakeNode, id, name string, value any) *fakeNode {
	n := s.add(parent, id, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	n.class, n.value = ua.NodeClassVariable, dataValue(value)
	return n
}

func (s *fakeServer) remove(parent, n *fakeNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, n.id.String())
	for i, c := range parent.children {
		if c == n {
			parent.children = append(parent.children[:i:i], parent.children[i+1:]...)
		}
	}
}

// dataValue makes a good value of x, which may be one already.
func dataValue(x any) *ua.DataValue {
	if v, ok := x.(*ua.DataValue); ok {
		return v
	}
	now := time.Now()
	return &ua.DataValue{
		EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp | ua.DataValueServerTimestamp,
		Value:        ua.MustVariant(x), SourceTimestamp: now, ServerTimestamp: now,
	}
}

// badValue makes a value of a status.
func badValue(status ua.StatusCode) *ua.DataValue {
	return &ua.DataValue{EncodingMask: ua.DataValueStatusCode, Status: status}
}

// set changes a value, and tells the subscriptions.
func (s *fakeServer) set(id string, x any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID(id).String()]
	n.value = dataValue(x)
	s.notify(n)
}

// below returns the value of the child of a node.
func (s *fakeServer) below(id, name string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.nodes[nodeID(id).String()].children {
		if c.name.Name == name {
			return c.value.Value.Value()
		}
	}
	return nil
}

func (s *fakeServer) notify(n *fakeNode) {
	for _, sub := range s.subs {
		for i := range sub.items {
			if it := &sub.items[i]; it.node == n.id.String() && it.passes(n) {
				it.sent = n.value
				sub.pending = append(sub.pending, &ua.MonitoredItemNotification{ClientHandle: it.handle, Value: n.value})
			}
		}
		s.flush(sub, false)
	}
}

// flush sends what is pending, if somebody waits for it.
func (s *fakeServer) flush(sub *fakeSub, idle bool) {
	for len(sub.waiting) > 0 && (len(sub.pending) > 0 || idle) {
		m := &ua.NotificationMessage{SequenceNumber: sub.seq + 1, PublishTime: time.Now(), NotificationData: []*ua.ExtensionObject{}}
		if !idle {
			sub.seq++
			n := min(len(sub.pending), 2000)
			m.NotificationData = append(m.NotificationData, ua.NewExtensionObject(&ua.DataChangeNotification{MonitoredItems: sub.pending[:n], DiagnosticInfos: []*ua.DiagnosticInfo{}}))
			sub.pending = sub.pending[n:]
			sub.sent[sub.seq] = m
			if s.drop > 0 {
				s.drop--
				continue
			}
		}
		answer := sub.waiting[0]
		sub.waiting, sub.last = sub.waiting[1:], time.Now()
		answer(m)
		if idle {
			return
		}
	}
}

func (s *fakeServer) requests(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[kind]
}

// with changes the server's behaviour.
func (s *fakeServer) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeServer) serve(conn *uacp.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	s.sessions++
	id := s.sessions
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	cfg := &uasc.Config{SecurityPolicyURI: ua.SecurityPolicyURINone, SecurityMode: ua.MessageSecurityModeNone, Lifetime: 3600000, RequestTimeout: time.Second}
	sc, err := uasc.NewServerSecureChannel("", conn, cfg, make(chan error, 1), id, 1, id)
	if err != nil {
		return
	}
	defer func() {
		_ = conn.Close()
		_ = sc.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, sub := range s.subs {
			if sub.channel == sc {
				close(sub.stop)
				delete(s.subs, id)
			}
		}
	}()
	for {
		msg := sc.Receive(context.Background())
		if msg.Err != nil {
			return
		}
		req := msg.Request()
		if req == nil {
			continue // a channel was opened
		}
		if res := s.handle(sc, msg.RequestID, req); res != nil {
			_ = sc.SendResponseWithContext(context.Background(), msg.RequestID, res)
		}
	}
}
