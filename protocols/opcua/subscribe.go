package opcua

import (
	"context"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	// keepAlive is how often the server reports that there is nothing to report.
	keepAlive = 5 * time.Second

	// lifetime is how long the server keeps a subscription of a gateway that
	// asks for nothing, for example because its store is full.
	lifetime = 2 * time.Minute

	// mostNotifications bounds the values of one message.
	mostNotifications = 2000
)

// A subscription is one of a server, of which messages come in order.
type subscription struct {
	link     *link
	id       uint32
	interval time.Duration
	silence  time.Duration // after which something is wrong
	keep     time.Duration // between messages, at most
}

// subscribe creates a subscription without items.
func subscribe(ctx context.Context, l *link, cfg Config) (*subscription, error) {
	count := func(d time.Duration) uint32 { return uint32(max(1, d/cfg.Publish)) }
	req := &ua.CreateSubscriptionRequest{
		RequestedPublishingInterval: float64(cfg.Publish) / float64(time.Millisecond),
		RequestedMaxKeepAliveCount:  count(keepAlive), RequestedLifetimeCount: max(count(lifetime), 3*count(keepAlive)),
		MaxNotificationsPerPublish: mostNotifications, PublishingEnabled: true,
	}
	res, err := send[*ua.CreateSubscriptionResponse](ctx, l, req)
	if err != nil {
		return nil, fmt.Errorf("create a subscription: %w", err)
	}
	s := &subscription{link: l, id: res.SubscriptionID}
	s.interval = time.Duration(min(max(res.RevisedPublishingInterval, 1), 3.6e6) * float64(time.Millisecond))
	s.keep = s.interval * time.Duration(min(max(res.RevisedMaxKeepAliveCount, 1), 1<<16))
	s.silence = 2*s.keep + cfg.Timeout
	if cfg.Silence > 0 {
		s.silence = max(cfg.Silence, s.interval)
	}
	return s, nil
}

// monitor adds items to the subscription, whose indices in all are their handles.
// What the server does not want to monitor is left to be polled. refused is told
// of what cannot be read at all.
func (s *subscription) monitor(ctx context.Context, cfg Config, items []*item, handle func(i int) uint32, refused func(it *item, status ua.StatusCode)) error {
	return chunks(len(items), s.link.limits.items, func(i int) int { return nodeBytes(items[i].id) + 60 }, func(from, to int) error {
		req := &ua.CreateMonitoredItemsRequest{SubscriptionID: s.id, TimestampsToReturn: ua.TimestampsToReturnBoth}
		for i := from; i < to; i++ {
			req.ItemsToCreate = append(req.ItemsToCreate, items[i].request(cfg, handle(i)))
		}
		res, err := send[*ua.CreateMonitoredItemsResponse](ctx, s.link, req)
		if err != nil {
			return err
		}
		if len(res.Results) != to-from {
			return fmt.Errorf("%d items were to be monitored, the answer has %d", to-from, len(res.Results))
		}
		for i, r := range res.Results {
			it := items[from+i]
			switch {
			case !bad(r.StatusCode):
				it.monitored = r.MonitoredItemID
			case !polled(r.StatusCode):
				refused(it, r.StatusCode)
			}
		}
		return nil
	}, func(i int, err error) {
		if status := statusOf(err); !polled(status) {
			refused(items[i], status)
		}
	})
}

// polled reports whether a server that refuses to monitor a value for this reason
// may let it be read.
func polled(s ua.StatusCode) bool {
	switch s {
	case ua.StatusBadTooManyMonitoredItems, ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadMonitoredItemFilterInvalid,
		ua.StatusBadFilterNotAllowed, ua.StatusBadDeadbandFilterInvalid, ua.StatusBadServiceUnsupported,
		ua.StatusBadOutOfMemory, ua.StatusBadNotSupported, ua.StatusBadNotImplemented:
		return true
	default:
		return false
	}
}

func (it *item) request(cfg Config, handle uint32) *ua.MonitoredItemCreateRequest {
	sampling, queue := it.Sampling, it.QueueSize
	if sampling <= 0 {
		sampling = cfg.Publish
	}
	if queue <= 0 {
		queue = DefaultQueueSize
	}
	p := &ua.MonitoringParameters{
		ClientHandle: handle, SamplingInterval: float64(sampling) / float64(time.Millisecond),
		QueueSize: uint32(queue), DiscardOldest: true,
	}
	if it.Deadband > 0 {
		f := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: 1, DeadbandValue: it.Deadband}
		if it.DeadbandPercent {
			f.DeadbandType = 2
		}
		p.Filter = ua.NewExtensionObject(f)
	}
	return &ua.MonitoredItemCreateRequest{ItemToMonitor: it.read, MonitoringMode: ua.MonitoringModeReporting, RequestedParameters: p}
}

// forget removes items from the subscription.
func (s *subscription) forget(ctx context.Context, items []*item) error {
	return chunks(len(items), s.link.limits.items, func(int) int { return 4 }, func(from, to int) error {
		req := &ua.DeleteMonitoredItemsRequest{SubscriptionID: s.id}
		for _, it := range items[from:to] {
			req.MonitoredItemIDs = append(req.MonitoredItemIDs, it.monitored)
		}
		_, err := send[*ua.DeleteMonitoredItemsResponse](ctx, s.link, req)
		return err
	}, func(int, error) {})
}
