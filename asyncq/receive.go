package asyncq

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// receivesAtOnce is how many pollers a queue has. All but one are idle while it
// has few messages; see room.
const receivesAtOnce = 4

// poll receives the messages of one queue, as many as there are slots for and as
// may wait here.
func (b *inbox) poll(ctx context.Context, s *source) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		n := b.room(s)
		if n == 0 {
			select {
			case <-ctx.Done():
			case <-s.room:
			}
			continue
		}
		out, err := asked(ctx, b.api.ReceiveMessage, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(s.url), MaxNumberOfMessages: int32(n),
			WaitTimeSeconds: int32(b.o.waitTime / time.Second), VisibilityTimeout: int32(b.o.visibility / time.Second),
			MessageAttributeNames: []string{"All"},
			// What newDelivery reads.
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{
				types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameMessageGroupId,
				types.MessageSystemAttributeNameSentTimestamp},
		})
		b.mu.Lock()
		s.asked -= n
		s.more = err == nil && len(out.Messages) == maxBatch
		if since := time.Since(b.paced); since >= 2*prefetchFor { // or jobs that end together would look quick
			b.pace, b.ended, b.paced = float64(b.ended)/since.Seconds(), 0, time.Now()
		}
		if err == nil {
			for _, m := range out.Messages {
				b.arrive(s, newDelivery(m, s.url, s.fifo))
			}
		}
		b.mu.Unlock()
		if ctx.Err() != nil && err != nil {
			return
		}
		if err != nil {
			b.o.alarm.tell(ctx, &OpError{Op: "receive", Key: s.name, Err: err})
			sleep(ctx, rand.N(wait))
			wait = min(2*wait, 10*time.Second)
			continue
		}
		b.o.alarm.clear()
		wait = 100 * time.Millisecond
		if len(out.Messages) > 0 {
			b.o.ledger.observe(Event{Kind: EventReceived, Queue: s.name, Count: len(out.Messages)})
			b.signal()
		} else if b.o.waitTime == 0 {
			sleep(ctx, 50*time.Millisecond) // an empty queue must not be asked all the time
		}
	}
}

// room is how many messages of a queue may come now. What it allows counts as asked
// for from then on.
func (b *inbox) room(s *source) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.roomOf(s)
	s.asked += room
	return room
}

// prefetchFor is how long the work that waits should last, so that a fast worker
// is not as slow as the queue's answers.
const prefetchFor = 50 * time.Millisecond

// roomOf counts free slots, and those that may wait, less what can be begun already:
// what is held or behind another takes no slot. It is 0 while only a few would fit
// and others wait, as a request costs the same for ten. While one request is under
// way there are others only if the last was full, as the queue has more then; and
// none to a FIFO queue, where a request brings all that there is of one group
// before it brings another. b.mu is held.
func (b *inbox) roomOf(s *source) int {
	if b.paused || b.draining || s.kept >= b.mostKept() || s.asked > 0 && (s.fifo || !s.more) {
		return 0
	}
	ready := 0
	for _, other := range b.sources {
		ready += len(other.ready)
	}
	share := b.limit / float64(b.o.concurrency)
	free := max(int(b.limit)-b.out-ready, 0)
	prefetch := min(max(b.o.prefetch, int(b.pace*prefetchFor.Seconds())), b.o.mostPrefetch)
	room := min(maxBatch, free+int(float64(prefetch)*share)-len(s.ready)-s.asked)
	switch {
	case room < 1:
		return 0
	case s.fifo:
		return maxBatch
	case room < maxBatch && len(s.ready)+s.asked > b.o.concurrency/4:
		return 0
	}
	return room
}

// askForMore wakes the pollers that have room. b.mu is held.
func (b *inbox) askForMore() {
	for _, s := range b.sources {
		if b.roomOf(s) > 0 {
			s.signal()
		}
	}
}

// A change is what SQS has to know of a message: that it is deleted, or until when
// it is invisible.
type change struct {
	of     *delivery
	renews bool   // it is for a message that is here, and ends with that
	event  *Event // that it makes known
	tries  int
}

// tell hands changes to their flushers.
func (b *inbox) tell(changes []change) {
	for _, c := range changes {
		if c.event != nil {
			b.o.ledger.observe(*c.event)
			if c.event.Kind == EventHeld {
				continue
			}
		}
		c.of.src.send(c.of.src.changes, c)
	}
}

// send hands a change to its flusher. That of a handler which outlives the worker
// is lost; its message becomes visible by itself.
func (s *source) send(to chan change, c change) {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if !s.closed {
		to <- c
	}
}

// close ends the flushers, when what was sent before has been flushed.
func (s *source) close() {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.closed = true
	close(s.acks)
	close(s.changes)
}

// flushesAtOnce bounds the requests of one kind to one queue.
const flushesAtOnce = 4

// flush gathers changes for Linger and sends them by ten.
func (b *inbox) flush(ctx context.Context, changes <-chan change, send func(context.Context, []change) []change) {
	var requests sync.WaitGroup
	defer requests.Wait()
	slots := make(chan struct{}, flushesAtOnce)
	for {
		first, ok := <-changes
		if !ok {
			return
		}
		batch := append(make([]change, 0, maxBatch), first)
		timer := time.NewTimer(b.o.linger)
	gather:
		for len(batch) < maxBatch {
			select {
			case c, ok := <-changes:
				if !ok {
					break gather
				}
				batch = append(batch, c)
			case <-timer.C:
				break gather
			}
		}
		timer.Stop()
		slots <- struct{}{}
		requests.Go(func() {
			defer func() { <-slots }()
			wait := 100 * time.Millisecond
			for len(batch) > 0 && ctx.Err() == nil {
				if batch = send(ctx, batch); len(batch) > 0 {
					sleep(ctx, rand.N(wait))
					wait *= 2
				}
			}
		})
	}
}

// maxTries is how often a change is sent. A message that could not be deleted
// comes again and is found to be done; one whose visibility could not be
// changed becomes visible by itself.
const maxTries = 4

// again are the changes that may work when they are sent once more.
func (b *inbox) again(ctx context.Context, batch []change, op string, err error, failed []types.BatchResultErrorEntry) []change {
	var repeat []change
	retry := func(c change) {
		if c.tries++; c.tries < maxTries {
			repeat = append(repeat, c)
		}
	}
	if err != nil {
		b.o.alarm.tell(ctx, &OpError{Op: op, Key: batch[0].of.queue, Err: err})
		for _, c := range batch {
			retry(c)
		}
		return repeat
	}
	for n, f := range failed {
		if n == 0 {
			b.o.alarm.tell(ctx, &OpError{Op: op, Key: batch[0].of.queue, Err: refused(f)})
		}
		if i := index(f.Id); !f.SenderFault && i >= 0 && i < len(batch) {
			retry(batch[i])
		}
	}
	return repeat
}

func (b *inbox) deleteBatch(ctx context.Context, batch []change) []change {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
	for i, c := range batch {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: c.of.receipt()}
	}
	out, err := asked(ctx, b.api.DeleteMessageBatch, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(batch[0].of.src.url), Entries: entries})
	if err != nil {
		return b.again(ctx, batch, "delete", err, nil)
	}
	return b.again(ctx, batch, "delete", nil, out.Failed)
}

// changeBatch lets SQS know until when messages are invisible, as that is by now. Of one
// message one change is under way at a time, so that none is overtaken by another.
func (b *inbox) changeBatch(ctx context.Context, batch []change) []change {
	b.mu.Lock()
	batch = slices.DeleteFunc(batch, func(c change) bool {
		if c.renews && c.of.released {
			return true
		}
		c.of.resend = c.of.resend || c.of.sending
		skip := c.of.sending
		c.of.sending = true
		return skip
	})
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(batch))
	for i, c := range batch {
		seconds := max((time.Until(c.of.hidden)+time.Second-1)/time.Second, 0)
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: c.of.receipt(), VisibilityTimeout: int32(seconds)}
	}
	b.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	out, err := asked(ctx, b.api.ChangeMessageVisibilityBatch, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(batch[0].of.src.url), Entries: entries})
	var repeat []change
	if err != nil {
		repeat = b.again(ctx, batch, "change visibility", err, nil)
	} else {
		repeat = b.again(ctx, batch, "change visibility", nil, out.Failed)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range batch {
		if c.of.sending = false; c.of.resend {
			c.of.resend = false
			same := func(r change) bool { return r.of == c.of }
			repeat = append(slices.DeleteFunc(repeat, same), change{of: c.of, renews: !c.of.released})
		}
	}
	return repeat
}
