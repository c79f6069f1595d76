package opcua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

const (
	// A server that has said nothing for quietness is asked whether it is
	// there, and has answerTime to answer.
	quietness  = 1500 * time.Millisecond
	answerTime = 2 * time.Second

	// soonest is how soon after a request that failed the server is asked.
	soonest = 100 * time.Millisecond
)

// A session is what is done with a link: devices are looked for, and their values
// read.
type session struct {
	c     *Connector
	cfg   Config
	link  *link
	host  connector.Host
	log   *slog.Logger
	polls *uplink
	ready bool

	sub       *subscription // nil: values are polled
	publisher *publisher

	// mu guards what the goroutine that converts messages and commands read.
	mu      sync.RWMutex
	handles []*item // by the handles of monitored items; nil: gone
	byKey   map[string]*item
	devices map[string][]*device // by name
	nodes   map[string]*ua.NodeID

	failed chan error
}

func newSession(c *Connector, l *link, host connector.Host) *session {
	s := &session{
		c: c, cfg: c.plan.cfg, link: l, host: host, log: host.Logger(), byKey: make(map[string]*item),
		devices: make(map[string][]*device), nodes: make(map[string]*ua.NodeID), failed: make(chan error, 2),
	}
	c.count.badNow.Store(0)
	s.polls = s.uplink()
	return s
}

func (s *session) uplink() *uplink {
	return &uplink{
		host: s.host, log: s.log, types: s.link.types, compatible: s.cfg.Compatible, most: s.cfg.MaxBatch, count: &s.c.count,
	}
}

// run works until ctx is done or the link is lost. It calls connected once values
// flow.
func (s *session) run(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if err := s.begin(ctx, &wg); err != nil {
		return err
	}
	if err := s.scan(ctx); err != nil {
		return err
	}
	if err := s.poll(ctx); err != nil {
		return err
	}
	s.ready = true
	connected()
	return s.loop(ctx)
}

// begin starts a subscription, if there is to be one. A server without them is
// polled.
func (s *session) begin(ctx context.Context, wg *sync.WaitGroup) error {
	if s.cfg.Poll {
		return nil
	}
	sub, err := subscribe(ctx, s.link, s.cfg)
	if lost(err) {
		return err
	}
	if err != nil {
		s.log.Warn("server has no subscriptions, values are polled", slog.String("server", s.cfg.URL), slog.Any("error", err))
		return nil
	}
	s.sub, s.publisher = sub, newPublisher(sub, s.log, &s.c.count)
	wg.Go(func() { s.failed <- s.publisher.run(ctx) })
	wg.Go(func() {
		if err := s.receive(ctx); err != nil {
			s.failed <- err
		}
	})
	return nil
}

// loop does what is due, until the link is lost.
func (s *session) loop(ctx context.Context) error {
	polls, scans := time.NewTicker(s.cfg.PollPeriod), time.NewTicker(s.cfg.Scan)
	defer polls.Stop()
	defer scans.Stop()
	watch := time.NewTimer(quietness)
	defer watch.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err = <-s.failed:
			return err
		case <-polls.C:
			err = s.poll(ctx)
		case <-scans.C:
			err = s.scan(ctx)
		case err = <-s.link.trouble: // perhaps of a single request
			s.log.Debug("an error on the connection", slog.String("server", s.cfg.URL), slog.Any("error", err))
			watch.Reset(soonest)
			continue
		case <-watch.C:
			if err = s.watch(ctx); err == nil {
				watch.Reset(s.untilQuiet())
			}
		}
		if err != nil {
			return err
		}
	}
}

// untilQuiet returns how long it takes until the server has said nothing for
// quietness.
func (s *session) untilQuiet() time.Duration {
	return max(soonest, quietness-time.Since(time.Unix(0, s.link.heard.Load())))
}

// watch makes sure that the server is there.
func (s *session) watch(ctx context.Context) error {
	if err := s.link.alive(ctx, answerTime); err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	if s.publisher == nil {
		return nil
	}
	if d := s.publisher.silent(time.Now()); d > s.sub.silence {
		return fmt.Errorf("the subscription is silent for %v", d.Round(time.Millisecond))
	}
	return nil
}

// poll reads the values that are not monitored.
func (s *session) poll(ctx context.Context) error {
	var items []*item
	for _, list := range s.devices {
		for _, d := range list {
			for _, it := range d.items {
				if it.monitored == 0 {
					items = append(items, it)
				}
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	slices.SortFunc(items, func(a, b *item) int { return a.order - b.order })
	err := s.polls.poll(ctx, s.link, items)
	if errors.Is(err, ua.StatusBadTimeout) {
		// One slow answer is not the end: the watch says whether the server is there.
		if alive := s.link.alive(ctx, answerTime); alive == nil {
			s.log.Debug("poll was not answered in time", slog.String("server", s.cfg.URL))
			return nil
		}
	}
	return err
}

// scan looks for devices and nodes, and takes over what changed.
func (s *session) scan(ctx context.Context) error {
	f, err := scan(ctx, s.link, s.c.plan)
	if err != nil {
		return fmt.Errorf("look for nodes: %w", err)
	}
	f.log(s.log, s.cfg.ShowMap)
	s.miss(f.missing)
	added, gone := s.adopt(f)
	s.c.set(s, nil) // commands can be carried out
	if err := s.announce(ctx, f); err != nil {
		return err
	}
	if s.sub == nil {
		return nil
	}
	if err := s.sub.forget(ctx, gone); err != nil {
		return err
	}
	return s.monitor(ctx, added)
}

// miss logs what is not there, once for each.
func (s *session) miss(missing []string) {
	now := make(map[string]bool, len(missing))
	var fresh []string
	for _, m := range missing {
		now[m] = true
		if !s.c.missing[m] {
			fresh = append(fresh, m)
		}
	}
	s.c.missing = now
	const most = 20
	if n := len(fresh); n > 0 {
		s.log.Warn("nodes are not there", slog.Int("nodes", n), slog.String("server", s.cfg.URL),
			slog.String("names", strings.Join(fresh[:min(n, most)], "; ")))
	}
}

// adopt makes the devices found the current ones. Items that were there before
// stay as they are.
func (s *session) adopt(f *found) (added, gone []*item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.byKey
	s.byKey, s.devices = make(map[string]*item), make(map[string][]*device)
	clear(s.nodes)
	items := 0
	for _, d := range f.devices {
		s.devices[d.Name] = append(s.devices[d.Name], d)
		list := d.items[:0]
		for _, it := range d.items {
			key := it.key()
			if s.byKey[key] != nil {
				continue // two mappings say the same
			}
			it.order = items
			items++
			if old := before[key]; old != nil {
				old.order, it = it.order, old
				delete(before, key)
			} else {
				added = append(added, it)
			}
			s.byKey[key], list = it, append(list, it)
		}
		d.items = list
	}
	for _, it := range before {
		if it.monitored != 0 {
			s.handles[it.handle] = nil
		}
		if it.monitored != 0 && it.monitored != refusedItem {
			gone = append(gone, it)
		}
		if it.status.Load() != 0 {
			s.c.count.badNow.Add(-1)
		}
	}
	for _, it := range s.byKey {
		if it.monitored == refusedItem {
			added = append(added, it) // perhaps it is there now
		}
	}
	s.c.count.items.Store(int64(items))
	s.c.count.devices.Store(int64(len(s.devices)))
	return added, gone
}

// announce tells the platform of devices that came and went, and sends constants.
func (s *session) announce(ctx context.Context, f *found) error {
	now := make(map[string]telemetry.Device)
	for _, d := range f.devices {
		now[d.Name] = d.Device
		if s.c.online[d.Name] == d.Device {
			continue
		}
		if err := s.host.DeviceOnline(ctx, d.Device); err != nil && ctx.Err() == nil {
			s.log.Warn("platform was not told of the device", slog.String("device", d.Name), slog.Any("error", err))
		}
		for _, p := range d.mapping.items {
			if p.constant {
				s.polls.put(&item{itemPlan: p, device: d}, telemetry.Point{Key: p.Key, Value: telemetry.String(p.Node), Report: p.report}, p.attribute)
			}
		}
	}
	for name := range s.c.online {
		if _, ok := now[name]; ok {
			continue
		}
		if err := s.host.DeviceOffline(ctx, name); err != nil && ctx.Err() == nil {
			s.log.Warn("platform was not told of the device", slog.String("device", name), slog.Any("error", err))
		}
	}
	s.c.online = now
	return s.polls.fatal(ctx)
}

// monitor makes the server report the changes of items. Those that it refuses are
// reported as bad.
func (s *session) monitor(ctx context.Context, items []*item) error {
	s.mu.Lock()
	for _, it := range items {
		it.monitored = 0
		it.handle = uint32(len(s.handles))
		s.handles = append(s.handles, it)
	}
	s.mu.Unlock()
	now := time.Now().UnixMilli()
	handle := func(i int) uint32 { return items[i].handle }
	err := s.sub.monitor(ctx, s.cfg, items, handle, func(it *item, status ua.StatusCode) {
		it.monitored = refusedItem
		s.polls.refuse(it, status, now)
	})
	if err != nil {
		return fmt.Errorf("monitor values: %w", err)
	}
	return s.polls.fatal(ctx)
}

// refusedItem stands for the identifier of an item that the server refused to
// monitor and that there is no point in polling. It is tried again with the next
// search.
const refusedItem = 1<<32 - 1

// receive converts the messages of the subscription until there are no more.
func (s *session) receive(ctx context.Context) error {
	u := s.uplink()
	for m := range s.publisher.queue {
		if ctx.Err() != nil {
			continue
		}
		if err := s.convert(ctx, u, m); err != nil {
			return err
		}
	}
	return nil
}

// convert submits the values of a message. All of them carry one time, unless they
// bring theirs.
func (s *session) convert(ctx context.Context, u *uplink, m *ua.NotificationMessage) error {
	now := time.Now().UnixMilli()
	for _, x := range m.NotificationData {
		switch n := x.Value.(type) {
		case *ua.DataChangeNotification:
			for _, v := range n.MonitoredItems {
				if it := s.item(v.ClientHandle); it != nil {
					u.add(it, v.Value, now)
				}
				if u.full() {
					if err := u.fatal(ctx); err != nil {
						return err
					}
				}
			}
		case *ua.StatusChangeNotification:
			return fmt.Errorf("the server has ended the subscription: %w", n.Status)
		}
	}
	if err := u.fatal(ctx); err != nil {
		return err
	}
	return u.explain(ctx, s.link)
}

func (s *session) item(handle uint32) *item {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if int64(handle) < int64(len(s.handles)) {
		return s.handles[handle]
	}
	return nil
}
