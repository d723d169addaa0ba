package asyncq

import (
	"context"
	"slices"
	"sync"
	"time"
)

// An inbox receives the messages of some queues, keeps them from others while they
// are here, gives out those that can be worked on, and lets SQS know what becomes of
// them. It knows nothing of jobs.
//
// A message here is ready, out (given out by take), held for a time, or behind
// another one of its group. Of a FIFO queue the first of a group is one of the
// first three, and all others are behind it, until it is done.
type inbox struct {
	api QueueAPI
	o   inboxOptions

	mu       sync.Mutex
	wake     chan struct{} // something has changed for who takes
	sources  []*source
	have     map[*delivery]struct{} // all that are here
	out      int
	limit    float64 // of out, between 1 and Concurrency
	paused   bool
	draining bool
	ended    int // that were given back by who took them, since the pace was taken
	paced    time.Time
	pace     float64 // of them a second
}

// inboxOptions are the parts of WorkerOptions that are about messages.
type inboxOptions struct {
	concurrency, prefetch, mostPrefetch int
	visibility, waitTime, linger        time.Duration
	ledger                              *ledger
	alarm                               *alarm
}

// mostKept bounds the messages of a queue that are held and those behind them. With so
// many, nothing more is received from it. With half of it, one whose wait is its job's
// own is given back to SQS in place of being held, so that others come.
func (b *inbox) mostKept() int { return max(1000, 4*maxBatch*b.o.concurrency) }

func newInbox(api QueueAPI, o inboxOptions) *inbox {
	return &inbox{api: api, o: o, wake: make(chan struct{}, 1), have: map[*delivery]struct{}{}, limit: float64(o.concurrency)}
}

// A source is one queue and its messages that are here.
type source struct {
	name, url string
	fifo      bool
	weight    int
	current   int // of the round robin

	asked  int              // messages that requests under way may bring
	more   bool             // the last answer was full
	ready  []*delivery      // in the order in which they came
	groups map[string]*lane // of a FIFO queue, those with messages here
	kept   int              // messages that are held, and those behind
	room   chan struct{}    // something has changed for the poller

	acks    chan change
	changes chan change
	sending sync.RWMutex // held to close them
	closed  bool
}

// A lane is the messages of a group that are here: the first one, and those behind.
type lane struct {
	head   *delivery
	behind []*delivery
}

func (b *inbox) add(url string, weight int) {
	b.mu.Lock() // Health may ask at any time
	defer b.mu.Unlock()
	b.sources = append(b.sources, &source{name: queueName(url), url: url, fifo: isFIFO(url), weight: max(weight, 1),
		groups: map[string]*lane{}, room: make(chan struct{}, 1), acks: make(chan change, 1024), changes: make(chan change, 1024)})
}

// signal wakes who takes, and it the pollers.
func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (s *source) signal() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// arrive takes in a message that was received. b.mu is held.
func (b *inbox) arrive(s *source, d *delivery) {
	d.src = s
	d.hidden = d.received.Add(b.o.visibility)
	d.until = d.received.Add(maxVisibility - b.o.visibility)
	b.have[d] = struct{}{}
	if d.group != "" {
		if l := s.groups[d.group]; l != nil {
			l.behind = append(l.behind, d)
			s.kept++
			return
		}
		s.groups[d.group] = &lane{head: d}
	}
	s.ready = append(s.ready, d)
}

// take gives out the next message if there is a slot for it: of the queues that
// have one, by smooth weighted round robin. b.mu is held.
func (b *inbox) take() *delivery {
	if b.paused || b.draining || b.out >= int(b.limit) {
		return nil
	}
	var best *source
	total := 0
	for _, s := range b.sources {
		if len(s.ready) == 0 {
			continue
		}
		total += s.weight
		s.current += s.weight
		if best == nil || s.current > best.current {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	best.current -= total
	d := best.ready[0]
	best.ready[0], best.ready = nil, best.ready[1:]
	b.out++
	return d
}

// canTake reports whether take has one. b.mu is held.
func (b *inbox) canTake() bool {
	return !b.paused && !b.draining && b.out < int(b.limit) && slices.ContainsFunc(b.sources, func(s *source) bool { return len(s.ready) > 0 })
}

// settle does what becomes of a message that was given out.
func (b *inbox) settle(d *delivery, out outcome) {
	b.mu.Lock()
	b.out--
	b.ended++
	var tell []change
	switch {
	case out.fate == fateDelete:
		b.next(d)
		b.drop(d)
		b.mu.Unlock()
		d.src.send(d.src.acks, change{of: d})
		return
	case out.fate == fateHold && b.canHold(d, out):
		tell = b.hold(d, out)
	default:
		tell = b.giveBack(d, out.after, out.ended)
	}
	b.mu.Unlock()
	b.tell(tell)
}

// canHold reports whether a message can be held: within the twelve hours of SQS, and
// the bound of its queue. b.mu is held.
func (b *inbox) canHold(d *delivery, out outcome) bool {
	return !b.draining && !time.Now().Add(out.after).After(d.until) && !(out.own && d.src.kept >= b.mostKept()/2)
}

// hold keeps a message here for a time, invisible to others, and then makes it ready
// again. SQS hears of a long one once. b.mu is held.
func (b *inbox) hold(d *delivery, out outcome) (tell []change) {
	d.holds++
	if out.ended {
		b.next(d)
	}
	d.src.kept++
	d.unhold = b.o.ledger.holding(out.reason)
	d.timer = time.AfterFunc(out.after, func() { b.due(d) })
	hide := []*delivery{d}
	if l := d.src.groups[d.group]; l != nil && l.head == d {
		hide = append(hide, l.behind...)
	}
	for _, d := range hide {
		if out.after > b.o.visibility/3 {
			d.hidden = earlier(time.Now().Add(out.after+b.o.visibility), d.received.Add(maxVisibility-timeToTell))
			tell = append(tell, change{of: d, renews: true})
		}
	}
	return append(tell, change{of: d, event: &Event{Kind: EventHeld, Queue: d.queue, Duration: out.after, ErrorClass: out.reason}})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// timeToTell is kept of the twelve hours of SQS for a change to be sent.
const timeToTell = 5 * time.Second

// due makes a held message ready.
func (b *inbox) due(d *delivery) {
	b.mu.Lock()
	if d.timer != nil && !d.released && !b.draining {
		b.unhold(d)
		d.src.ready = append(d.src.ready, d)
	}
	b.mu.Unlock()
	b.signal()
}

// unhold ends a hold. b.mu is held.
func (b *inbox) unhold(d *delivery) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
		d.src.kept--
		d.unhold()
		d.unhold = nil
	}
}

// leads reports whether a message is the first of its group here.
func (d *delivery) leads() bool {
	l := d.src.groups[d.group]
	return d.group != "" && l != nil && l.head == d
}

// next lets the next one of a message's group be worked on. b.mu is held.
func (b *inbox) next(d *delivery) {
	if !d.leads() {
		return
	}
	l := d.src.groups[d.group]
	if len(l.behind) == 0 {
		delete(d.src.groups, d.group)
		return
	}
	l.head, l.behind = l.behind[0], l.behind[1:]
	d.src.kept--
	d.src.ready = append(d.src.ready, l.head)
}

// giveBack gives a message back to SQS, to be visible after a time. If it has not
// ended, those of its group that are behind it go with it: none may overtake it. SQS
// holds them back as long as the first one is invisible. b.mu is held.
func (b *inbox) giveBack(d *delivery, after time.Duration, ended bool) (tell []change) {
	if ended {
		b.next(d)
	}
	tell = append(tell, b.release(d, after))
	if d.leads() {
		tell = append(tell, b.giveBackBehind(d.src.groups[d.group])...)
		delete(d.src.groups, d.group)
	}
	return tell
}

// giveBackBehind gives back all of a group but the first. b.mu is held.
func (b *inbox) giveBackBehind(l *lane) (tell []change) {
	for _, d := range l.behind {
		d.src.kept--
		tell = append(tell, b.release(d, 0))
	}
	l.behind = nil
	return tell
}

// release is the change that makes a message visible after a time. SQS counts twelve
// hours from the receipt. b.mu is held.
func (b *inbox) release(d *delivery, after time.Duration) change {
	b.drop(d)
	d.hidden = earlier(time.Now().Add(max(after, 0)), d.received.Add(maxVisibility-timeToTell))
	return change{of: d, event: &Event{Kind: EventReleased, Queue: d.queue}}
}

// drop ends the renewal of a message. b.mu is held.
func (b *inbox) drop(d *delivery) {
	b.unhold(d)
	d.released = true
	delete(b.have, d)
}

// drain gives back what nobody has begun with, and lets nothing more be held.
func (b *inbox) drain() {
	b.mu.Lock()
	b.draining = true
	var tell []change
	for _, s := range b.sources {
		for _, d := range s.ready {
			tell = append(tell, b.giveBack(d, 0, false)...)
		}
		s.ready = nil
	}
	for d := range b.have {
		tell = append(tell, b.expire(d)...)
	}
	b.mu.Unlock()
	b.tell(tell)
}

// heartbeat renews the visibility of all messages that are here, and gives back in
// their order those that SQS would have back soon.
func (b *inbox) heartbeat(ctx context.Context) {
	ticker := time.NewTicker(b.o.visibility / 3)
	enough := 5 * b.o.visibility / 6 // more than what is left at the next tick, also if this renewal fails
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			b.mu.Lock()
			var tell []change
			for d := range b.have {
				if now.After(d.until) {
					tell = append(tell, b.expire(d)...)
				}
			}
			for d := range b.have {
				if left := d.received.Add(maxVisibility - time.Second).Sub(now); left > 0 && d.hidden.Before(now.Add(enough)) {
					d.hidden = now.Add(min(b.o.visibility, left))
					tell = append(tell, change{of: d, renews: true})
				}
			}
			b.mu.Unlock()
			b.tell(tell)
		}
	}
}

// expire gives back what SQS would soon have back by itself: a message that waits,
// with those behind it, or those behind one that is out. b.mu is held.
func (b *inbox) expire(d *delivery) []change {
	switch i := slices.Index(d.src.ready, d); {
	case i >= 0:
		d.src.ready = slices.Delete(d.src.ready, i, i+1)
		return b.giveBack(d, 0, false)
	case d.timer != nil:
		return b.giveBack(d, time.Until(d.hidden)-b.o.visibility, false)
	case d.leads(): // and is out
		return b.giveBackBehind(d.src.groups[d.group])
	}
	return nil
}

// counts are what waits here: what can be begun, and what cannot yet. b.mu is held.
func (b *inbox) counts() (ready, kept int, oldest time.Time) {
	for _, s := range b.sources {
		ready += len(s.ready)
		kept += s.kept
	}
	for d := range b.have {
		if oldest.IsZero() || d.received.Before(oldest) {
			oldest = d.received
		}
	}
	return ready, kept, oldest
}
