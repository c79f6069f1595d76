package opcua_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uasc"
)

func header(req ua.Request, status ua.StatusCode) *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: time.Now(), RequestHandle: req.Header().RequestHandle, ServiceResult: status,
		ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

func kindOf(req ua.Request) string { return strings.TrimPrefix(fmt.Sprintf("%T", req), "*ua.") }

// handle answers a request, or returns nil if it is answered later or never.
func (s *fakeServer) handle(sc *uasc.SecureChannel, id uint32, req ua.Request) ua.Response {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil && hook(req) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := kindOf(req)
	s.count[kind]++
	if s.mute {
		return nil
	}
	if status := s.refuse[kind]; status != 0 {
		return &ua.ServiceFault{ResponseHeader: header(req, status)}
	}
	ok := header(req, ua.StatusOK)
	switch r := req.(type) {
	case *ua.GetEndpointsRequest:
		return &ua.GetEndpointsResponse{ResponseHeader: ok, Endpoints: s.endpoints()}
	case *ua.CreateSessionRequest:
		return &ua.CreateSessionResponse{
			ResponseHeader: ok, SessionID: ua.NewNumericNodeID(1, s.sessions), AuthenticationToken: ua.NewNumericNodeID(1, 1000+s.sessions),
			RevisedSessionTimeout: r.RequestedSessionTimeout, ServerEndpoints: s.endpoints(), ServerSignature: &ua.SignatureData{},
		}
	case *ua.ActivateSessionRequest:
		return &ua.ActivateSessionResponse{ResponseHeader: ok}
	case *ua.CloseSessionRequest:
		return &ua.CloseSessionResponse{ResponseHeader: ok}
	case *ua.ReadRequest:
		return s.read(r, ok)
	case *ua.WriteRequest:
		return s.write(r, ok)
	case *ua.BrowseRequest:
		return s.browse(r, ok)
	case *ua.BrowseNextRequest:
		return s.browseNext(r, ok)
	case *ua.CallRequest:
		return s.call(r, ok)
	case *ua.CreateSubscriptionRequest:
		return s.createSub(sc, r, ok)
	case *ua.CreateMonitoredItemsRequest:
		return s.createItems(r, ok)
	case *ua.DeleteMonitoredItemsRequest:
		return s.deleteItems(r, ok)
	case *ua.PublishRequest:
		return s.publish(sc, id, r)
	case *ua.RepublishRequest:
		if m := s.subs[r.SubscriptionID].sent[r.RetransmitSequenceNumber]; m != nil {
			return &ua.RepublishResponse{ResponseHeader: ok, NotificationMessage: m}
		}
		return &ua.ServiceFault{ResponseHeader: header(req, ua.StatusBadMessageNotAvailable)}
	default:
		return &ua.ServiceFault{ResponseHeader: header(req, ua.StatusBadServiceUnsupported)}
	}
}

func (s *fakeServer) endpoints() []*ua.EndpointDescription {
	return []*ua.EndpointDescription{{
		EndpointURL: s.url(), Server: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("fake")},
		SecurityMode: ua.MessageSecurityModeNone, SecurityPolicyURI: ua.SecurityPolicyURINone,
		UserIdentityTokens: []*ua.UserTokenPolicy{{PolicyID: "anon", TokenType: ua.UserTokenTypeAnonymous}},
	}}
}

// over reports whether a request has more operations than a limit allows.
func (s *fakeServer) over(kind string, n int, limit uint32) bool {
	s.largest[kind] = max(s.largest[kind], n)
	return s.limits[limit] > 0 && uint32(n) > s.limits[limit]
}

func (s *fakeServer) read(r *ua.ReadRequest, ok *ua.ResponseHeader) ua.Response {
	if s.over("Read", len(r.NodesToRead), 11705) {
		return &ua.ServiceFault{ResponseHeader: header(r, ua.StatusBadTooManyOperations)}
	}
	res := &ua.ReadResponse{ResponseHeader: ok}
	for _, v := range r.NodesToRead {
		res.Results = append(res.Results, s.attribute(v))
	}
	return res
}

func (s *fakeServer) attribute(v *ua.ReadValueID) *ua.DataValue {
	n := s.nodes[v.NodeID.String()]
	limit, isLimit := s.limits[v.NodeID.IntID()]
	switch {
	case isLimit && v.NodeID.Namespace() == 0:
		return dataValue(limit)
	case n == nil:
		return badValue(ua.StatusBadNodeIDUnknown)
	case v.AttributeID == ua.AttributeIDValue && n.value != nil:
		return n.value
	case v.AttributeID == ua.AttributeIDDataType && n.dataType != nil:
		return dataValue(n.dataType)
	case v.AttributeID == ua.AttributeIDDataTypeDefinition && n.def != nil:
		return n.def
	default:
		return badValue(ua.StatusBadAttributeIDInvalid)
	}
}

func (s *fakeServer) write(r *ua.WriteRequest, ok *ua.ResponseHeader) ua.Response {
	res := &ua.WriteResponse{ResponseHeader: ok}
	for _, w := range r.NodesToWrite {
		n := s.nodes[w.NodeID.String()]
		switch {
		case n == nil:
			res.Results = append(res.Results, ua.StatusBadNodeIDUnknown)
		case n.value != nil && n.value.Value != nil && n.value.Value.Type() != w.Value.Value.Type() && n.value.Value.Type() != ua.TypeIDNull:
			res.Results = append(res.Results, ua.StatusBadTypeMismatch)
		default:
			n.value = dataValue(w.Value.Value.Value())
			s.notify(n)
			res.Results = append(res.Results, ua.StatusOK)
		}
	}
	return res
}

func (s *fakeServer) browse(r *ua.BrowseRequest, ok *ua.ResponseHeader) ua.Response {
	if s.over("Browse", len(r.NodesToBrowse), 11710) {
		return &ua.ServiceFault{ResponseHeader: header(r, ua.StatusBadTooManyOperations)}
	}
	res := &ua.BrowseResponse{ResponseHeader: ok}
	for _, b := range r.NodesToBrowse {
		n := s.nodes[b.NodeID.String()]
		if n == nil {
			res.Results = append(res.Results, &ua.BrowseResult{StatusCode: ua.StatusBadNodeIDUnknown})
			continue
		}
		list := n.children
		if b.BrowseDirection == ua.BrowseDirectionInverse {
			list = n.parents
		}
		result := &ua.BrowseResult{}
		for _, c := range list {
			result.References = append(result.References, &ua.ReferenceDescription{
				ReferenceTypeID: ua.NewNumericNodeID(0, 47), IsForward: true, NodeID: ua.NewExpandedNodeID(c.id, "", 0), BrowseName: c.name,
				DisplayName: ua.NewLocalizedText(c.name.Name), NodeClass: c.class, TypeDefinition: ua.NewTwoByteExpandedNodeID(0),
			})
		}
		s.paginate(n.id.String(), result)
		res.Results = append(res.Results, result)
	}
	return res
}

// paginate leaves the references of a page, and a continuation point for the others.
func (s *fakeServer) paginate(point string, r *ua.BrowseResult) {
	all := r.References
	delete(s.rest, point)
	switch {
	case s.page == 0 || len(all) <= s.page:
		return
	case len(s.rest) >= s.points:
		r.StatusCode, r.References = ua.StatusBadNoContinuationPoints, nil
		return
	case s.circle:
		s.rest[point] = all
	default:
		s.rest[point] = all[s.page:]
	}
	r.References, r.ContinuationPoint = all[:s.page], []byte(point)
}

func (s *fakeServer) browseNext(r *ua.BrowseNextRequest, ok *ua.ResponseHeader) ua.Response {
	res := &ua.BrowseNextResponse{ResponseHeader: ok}
	for _, point := range r.ContinuationPoints {
		result := &ua.BrowseResult{References: s.rest[string(point)]}
		if result.References == nil {
			result.StatusCode = ua.StatusBadContinuationPointInvalid
		}
		s.paginate(string(point), result)
		res.Results = append(res.Results, result)
	}
	return res
}

func (s *fakeServer) call(r *ua.CallRequest, ok *ua.ResponseHeader) ua.Response {
	m := r.MethodsToCall[0]
	n := s.nodes[m.MethodID.String()]
	if n == nil || n.call == nil {
		return &ua.CallResponse{ResponseHeader: ok, Results: []*ua.CallMethodResult{{StatusCode: ua.StatusBadMethodInvalid}}}
	}
	out, status := n.call(m.InputArguments)
	return &ua.CallResponse{ResponseHeader: ok, Results: []*ua.CallMethodResult{{StatusCode: status, OutputArguments: out}}}
}

func (s *fakeServer) createSub(sc *uasc.SecureChannel, r *ua.CreateSubscriptionRequest, ok *ua.ResponseHeader) ua.Response {
	sub := &fakeSub{
		id: uint32(len(s.subs)) + 1 + 10*s.sessions, channel: sc, sent: make(map[uint32]*ua.NotificationMessage), last: time.Now(), stop: make(chan struct{}),
		keep: time.Duration(r.RequestedPublishingInterval*float64(r.RequestedMaxKeepAliveCount)) * time.Millisecond,
	}
	s.subs[sub.id] = sub
	s.wg.Go(func() {
		for {
			select {
			case <-sub.stop:
				return
			case <-time.After(sub.keep / 4):
				s.mu.Lock()
				if time.Since(sub.last) > sub.keep*3/4 {
					s.flush(sub, true)
				}
				s.mu.Unlock()
			}
		}
	})
	return &ua.CreateSubscriptionResponse{
		ResponseHeader: ok, SubscriptionID: sub.id, RevisedPublishingInterval: r.RequestedPublishingInterval,
		RevisedLifetimeCount: r.RequestedLifetimeCount, RevisedMaxKeepAliveCount: r.RequestedMaxKeepAliveCount,
	}
}

func (s *fakeServer) createItems(r *ua.CreateMonitoredItemsRequest, ok *ua.ResponseHeader) ua.Response {
	if s.over("CreateMonitoredItems", len(r.ItemsToCreate), 11714) {
		return &ua.ServiceFault{ResponseHeader: header(r, ua.StatusBadTooManyOperations)}
	}
	sub := s.subs[r.SubscriptionID]
	res := &ua.CreateMonitoredItemsResponse{ResponseHeader: ok}
	for _, c := range r.ItemsToCreate {
		id := c.ItemToMonitor.NodeID.String()
		n, status := s.nodes[id], s.refused[id]
		filter, _ := c.RequestedParameters.Filter.Value.(*ua.DataChangeFilter)
		switch {
		case n == nil:
			status = ua.StatusBadNodeIDUnknown
		case filter != nil && filter.DeadbandType == 2 && n.span == 0:
			status = ua.StatusBadDeadbandFilterInvalid
		}
		result := &ua.MonitoredItemCreateResult{StatusCode: status, FilterResult: ua.NewExtensionObject(nil)}
		if status == 0 {
			sub.made++
			result.MonitoredItemID = sub.made
			sub.items = append(sub.items, fakeItem{handle: c.RequestedParameters.ClientHandle, id: result.MonitoredItemID, node: id, filter: filter, sent: n.value})
			sub.pending = append(sub.pending, &ua.MonitoredItemNotification{ClientHandle: c.RequestedParameters.ClientHandle, Value: n.value})
		}
		res.Results = append(res.Results, result)
	}
	s.flush(sub, false)
	return res
}

func (s *fakeServer) deleteItems(r *ua.DeleteMonitoredItemsRequest, ok *ua.ResponseHeader) ua.Response {
	sub := s.subs[r.SubscriptionID]
	res := &ua.DeleteMonitoredItemsResponse{ResponseHeader: ok}
	for _, id := range r.MonitoredItemIDs {
		status := ua.StatusBadMonitoredItemIDInvalid
		for i, it := range sub.items {
			if it.id == id {
				sub.items, status = append(sub.items[:i:i], sub.items[i+1:]...), ua.StatusOK
			}
		}
		res.Results = append(res.Results, status)
	}
	return res
}

func (s *fakeServer) publish(sc *uasc.SecureChannel, id uint32, r *ua.PublishRequest) ua.Response {
	if s.quiet {
		return nil
	}
	for _, sub := range s.subs {
		if sub.channel != sc {
			continue
		}
		for _, ack := range r.SubscriptionAcknowledgements {
			delete(sub.sent, ack.SequenceNumber)
		}
		sub.waiting = append(sub.waiting, func(m *ua.NotificationMessage) {
			_ = sc.SendResponseWithContext(context.Background(), id, &ua.PublishResponse{
				ResponseHeader: header(r, ua.StatusOK), SubscriptionID: sub.id, NotificationMessage: m,
				AvailableSequenceNumbers: []uint32{}, Results: []ua.StatusCode{}, DiagnosticInfos: []*ua.DiagnosticInfo{},
			})
		})
		s.flush(sub, false)
		return nil
	}
	return &ua.ServiceFault{ResponseHeader: header(r, ua.StatusBadNoSubscription)}
}
