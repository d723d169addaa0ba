package memqueue

import (
	"container/heap"
	"container/list"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A queue is guarded by the lock of its service.
//
// A message is delayed, visible or in flight. Visible ones of a standard queue
// are in ready. Those of a FIFO queue are in their group, and the groups of which
// messages may be received are in ready. All messages are in the timeline, by
// when time will next change something about them.
type queue struct {
	name, url, arn            string
	fifo                      bool
	attributes                map[types.QueueAttributeName]string // as they were set, with defaults
	redrive                   redrivePolicy
	created, modified, purged time.Time

	messages map[string]*message // by id
	ready    list.List           // of *message, or of *group in a FIFO queue
	groups   map[string]*group
	timeline timeline
	states   [3]int // how many messages are in each state

	sequence uint64
	sent     map[string]dedup // by deduplication id
	sentAge  []string         // its keys, the oldest first

	changed chan struct{} // closed when a receive that waits should look again
}

type state int

const (
	delayed state = iota
	visible
	inFlight
)

type message struct {
	id           string
	body         string
	attributes   map[string]types.MessageAttributeValue
	group, dedup string
	trace        string // AWSTraceHeader
	sequence     uint64
	source       string // ARN of the queue that it was a dead letter of

	sent, expires time.Time
	state         state
	until         time.Time // end of the delay or of the visibility timeout
	receives      int
	firstReceived time.Time
	lastReceived  time.Time
	handle        string // of the last receive

	in    *group
	place *list.Element // in ready, for a visible message of a standard queue
	index int           // in the timeline
}

// A group is the messages of a group id in their order.
type group struct {
	id      string
	waiting []*message    // not deleted; those in flight among them
	blocked int           // how many of them are in flight
	place   *list.Element // in ready, if messages of it may be received
}

// A dedup is what a duplicate is answered with.
type dedup struct {
	at       time.Time
	id       string
	sequence uint64
}

func newQueue(name, url, arn string, fifo bool, now time.Time) *queue {
	q := &queue{
		name: name, url: url, arn: arn, fifo: fifo, created: now, modified: now,
		attributes: map[types.QueueAttributeName]string{
			types.QueueAttributeNameDelaySeconds:                  "0",
			types.QueueAttributeNameMaximumMessageSize:            strconv.Itoa(maxMessageBytes),
			types.QueueAttributeNameMessageRetentionPeriod:        "345600",
			types.QueueAttributeNameReceiveMessageWaitTimeSeconds: "0",
			types.QueueAttributeNameVisibilityTimeout:             "30",
			types.QueueAttributeNameSqsManagedSseEnabled:          "true",
		},
		sent:    map[string]dedup{},
		changed: make(chan struct{}),
	}
	if fifo {
		q.attributes[types.QueueAttributeNameFifoQueue] = "true"
		q.attributes[types.QueueAttributeNameContentBasedDeduplication] = "false"
		q.attributes[types.QueueAttributeNameDeduplicationScope] = "queue"
		q.attributes[types.QueueAttributeNameFifoThroughputLimit] = "perQueue"
	}
	q.clear()
	return q
}

// clear forgets all messages; what was sent is still remembered for
// deduplication.
func (q *queue) clear() {
	q.messages = map[string]*message{}
	q.groups = map[string]*group{}
	q.ready.Init()
	q.timeline = nil
	q.states = [3]int{}
}

// number is an attribute that has been checked to be one.
func (q *queue) number(name types.QueueAttributeName) int {
	n, _ := strconv.Atoi(q.attributes[name])
	return n
}

func (q *queue) seconds(name types.QueueAttributeName) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// retain makes the queue's retention that of the messages in it.
func (q *queue) retain() {
	for _, m := range q.timeline {
		m.expires = m.sent.Add(q.seconds(types.QueueAttributeNameMessageRetentionPeriod))
	}
	heap.Init(&q.timeline)
}

// counts are the messages that are visible, in flight and delayed. A message
// behind one of its group that is in flight counts as visible, as it does with
// the service.
func (q *queue) counts() (seen, flying, held int) {
	return q.states[visible], q.states[inFlight], q.states[delayed]
}

// wake makes all receives that wait look again.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// advance lets what is due by now happen.
func (q *queue) advance(now time.Time) {
	for len(q.timeline) > 0 {
		m := q.timeline[0]
		if m.next().After(now) {
			break
		}
		if !m.expires.After(now) {
			q.remove(m)
			continue
		}
		q.show(m)
	}
	for len(q.sentAge) > 0 && !q.sent[q.sentAge[0]].at.Add(dedupWindow).After(now) {
		delete(q.sent, q.sentAge[0])
		q.sentAge = q.sentAge[1:]
	}
}

// add takes a new message, visible at until.
func (q *queue) add(m *message, now, until time.Time) {
	q.messages[m.id] = m
	if q.fifo {
		g := q.groups[m.group]
		if g == nil {
			g = &group{id: m.group}
			q.groups[m.group] = g
		}
		m.in = g
		g.waiting = append(g.waiting, m)
	}
	m.state, m.until = delayed, until
	q.states[delayed]++
	heap.Push(&q.timeline, m)
	if !until.After(now) {
		q.show(m)
	}
}

// show makes a message visible that was delayed or in flight.
func (q *queue) show(m *message) {
	if m.state == inFlight && m.in != nil {
		m.in.blocked--
	}
	q.become(m, visible)
	if q.fifo {
		q.offer(m.in)
	} else {
		m.place = q.ready.PushBack(m)
	}
	q.wake()
}

// hide takes a visible message into flight.
func (q *queue) hide(m *message, until time.Time) {
	if m.place != nil {
		q.ready.Remove(m.place)
		m.place = nil
	}
	if m.in != nil {
		m.in.blocked++
		q.offer(m.in)
	}
	m.until = until
	q.become(m, inFlight)
}

// become changes the state of a message and nothing else.
func (q *queue) become(m *message, s state) {
	q.states[m.state]--
	m.state = s
	q.states[s]++
	heap.Fix(&q.timeline, m.index)
}

// remove forgets a message in whatever state it is.
func (q *queue) remove(m *message) {
	if m.place != nil {
		q.ready.Remove(m.place)
		m.place = nil
	}
	heap.Remove(&q.timeline, m.index)
	q.states[m.state]--
	delete(q.messages, m.id)
	if g := m.in; g != nil {
		if m.state == inFlight {
			g.blocked--
		}
		i := slices.Index(g.waiting, m)
		g.waiting = slices.Delete(g.waiting, i, i+1)
		q.offer(g)
		if len(g.waiting) == 0 {
			delete(q.groups, g.id)
		}
	}
	if m.state == inFlight && q.ready.Len() > 0 {
		q.wake() // there is room in flight, or a group is free
	}
}

// offer puts a group in ready, or takes it out, as its messages are.
func (q *queue) offer(g *group) {
	free := g.blocked == 0 && len(g.waiting) > 0 && g.waiting[0].state == visible
	switch {
	case free && g.place == nil:
		g.place = q.ready.PushBack(g)
	case !free && g.place != nil:
		q.ready.Remove(g.place)
		g.place = nil
	}
}

// take returns up to n messages that may be received, which stay as they are.
func (q *queue) take(n int) []*message {
	var taken []*message
	for e := q.ready.Front(); e != nil && len(taken) < n; e = e.Next() {
		switch v := e.Value.(type) {
		case *message:
			taken = append(taken, v)
		case *group:
			// As many as there are of one group, and then the next.
			for _, m := range v.waiting {
				if m.state != visible || len(taken) == n {
					break
				}
				taken = append(taken, m)
			}
		}
	}
	return taken
}

// A timeline is a heap of messages by when time changes something about them.
type timeline []*message

// next is when a message becomes visible or is too old, the earlier of the two.
func (m *message) next() time.Time {
	if m.state != visible && m.until.Before(m.expires) {
		return m.until
	}
	return m.expires
}

func (t timeline) Len() int { return len(t) }
func (t timeline) Less(i, j int) bool {
	a, b := t[i].next(), t[j].next()
	if a.Equal(b) {
		return t[i].sequence < t[j].sequence // those of one time in their order
	}
	return a.Before(b)
}

func (t timeline) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *timeline) Push(x any) {
	m := x.(*message)
	m.index = len(*t)
	*t = append(*t, m)
}

func (t *timeline) Pop() any {
	old := *t
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return m
}
