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
func (w *engine) poll(ctx context.Context, s *source) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		n := w.room(s)
		if n == 0 {
			select {
			case <-ctx.Done():
			case <-s.room:
			}
			continue
		}
		out, err := w.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(s.url), MaxNumberOfMessages: int32(n),
			WaitTimeSeconds: int32(w.o.WaitTime / time.Second), VisibilityTimeout: int32(w.o.Visibility / time.Second),
			MessageAttributeNames: []string{"All"},
			// What newDelivery reads.
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{
				types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameMessageGroupId},
		})
		w.mu.Lock()
		s.asked -= n
		s.more = err == nil && len(out.Messages) == maxBatch
		if since := time.Since(w.paced); since >= 2*prefetchFor { // or jobs that end together would look quick
			w.pace, w.ended, w.paced = float64(w.ended)/since.Seconds(), 0, time.Now()
		}
		if err == nil {
			w.lastErr = nil
			for _, m := range out.Messages {
				d := newDelivery(s, m)
				s.queue = append(s.queue, d)
				w.held[d] = struct{}{}
			}
		}
		w.mu.Unlock()
		if ctx.Err() != nil && err != nil {
			return
		}
		if err != nil {
			w.failed("receiving from "+s.name, err)
			sleep(ctx, rand.N(wait))
			wait = min(2*wait, 10*time.Second)
			continue
		}
		wait = 100 * time.Millisecond
		if len(out.Messages) > 0 {
			w.observe(Event{Kind: EventReceived, Queue: s.name, Count: len(out.Messages)})
			w.signal()
		} else if w.o.WaitTime == 0 {
			sleep(ctx, 50*time.Millisecond) // an empty queue must not be asked all the time
		}
	}
}

// room is how many messages of a queue may come now: free slots, and those that
// may wait. It is 0 while only a few would fit and others wait, as a request
// costs the same for ten. What it allows counts as asked for from then on. While
// one request is under way there are others only if the last was full, as
// the queue has more then; and none to a FIFO queue, whose order is that of the
// answers.
func (w *engine) room(s *source) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.roomOf(s)
	s.asked += room
	return room
}

// prefetchFor is how long the work that waits should last, so that a fast worker
// is not as slow as the queue's answers.
const prefetchFor = 50 * time.Millisecond

func (w *engine) roomOf(s *source) int {
	if w.paused || w.draining || s.asked > 0 && (s.fifo || !s.more) {
		return 0
	}
	waiting := 0
	for _, other := range w.sources {
		waiting += other.waiting()
	}
	share := w.limit / float64(w.o.Concurrency)
	free := max(int(w.limit)-w.running-waiting, 0)
	prefetch := min(max(w.o.Prefetch, int(w.pace*prefetchFor.Seconds())), w.mostPrefetch)
	room := min(maxBatch, free+int(float64(prefetch)*share)-s.waiting()-s.asked)
	if room < 1 || room < maxBatch && s.waiting()+s.asked > w.o.Concurrency/4 {
		return 0
	}
	return room
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// heartbeat renews the visibility of all messages that the worker has, those
// that wait here as well.
func (w *engine) heartbeat(ctx context.Context) {
	ticker := time.NewTicker(w.o.Visibility / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.mu.Lock()
			var renew []*delivery
			for d := range w.held {
				renew = append(renew, d)
			}
			w.mu.Unlock()
			for _, d := range renew {
				// SQS counts twelve hours from the receipt.
				if left := maxVisibility - now.Sub(d.received) - time.Second; left > 0 {
					d.src.send(d.src.changes, change{url: d.src.url, receipt: aws.ToString(d.msg.ReceiptHandle), after: min(w.o.Visibility, left), renews: d})
				}
			}
		}
	}
}

// drop ends the renewal of a message.
func (w *engine) drop(d *delivery) {
	w.mu.Lock()
	delete(w.held, d)
	w.mu.Unlock()
}

// ack deletes a message: what it asked for is done or will never be.
func (w *engine) ack(d *delivery) {
	w.drop(d)
	d.src.send(d.src.acks, change{url: d.src.url, receipt: aws.ToString(d.msg.ReceiptHandle)})
}

// release gives a message back: it comes again after a time.
func (w *engine) release(d *delivery, after time.Duration) {
	w.drop(d)
	after = min(max(after, 0), maxVisibility-time.Since(d.received)-time.Second)
	w.observe(Event{Kind: EventReleased, Queue: d.src.name})
	d.src.send(d.src.changes, change{url: d.src.url, receipt: aws.ToString(d.msg.ReceiptHandle), after: max(after, 0)})
}

// releaseWaiting gives back what nobody has begun with.
func (w *engine) releaseWaiting() {
	w.mu.Lock()
	var waiting []*delivery
	for _, s := range w.sources {
		waiting = append(waiting, s.queue...)
		s.queue = nil
	}
	w.mu.Unlock()
	for _, d := range waiting {
		w.release(d, 0)
	}
}

// flushesAtOnce bounds the requests of one kind to one queue.
const flushesAtOnce = 4

// flush gathers changes for Linger and sends them by ten.
func (w *engine) flush(ctx context.Context, changes <-chan change, send func(context.Context, []change) []change) {
	var requests sync.WaitGroup
	defer requests.Wait()
	slots := make(chan struct{}, flushesAtOnce)
	for {
		first, ok := <-changes
		if !ok {
			return
		}
		batch := append(make([]change, 0, maxBatch), first)
		timer := time.NewTimer(w.o.Linger)
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
func (w *engine) again(batch []change, what string, err error, failed []types.BatchResultErrorEntry) []change {
	var repeat []change
	retry := func(c change) {
		if c.tries++; c.tries < maxTries {
			repeat = append(repeat, c)
		}
	}
	if err != nil {
		w.failed(what, err)
		for _, c := range batch {
			retry(c)
		}
		return repeat
	}
	for _, f := range failed {
		if i := index(f.Id); !f.SenderFault && i < len(batch) {
			retry(batch[i])
		}
	}
	return repeat
}

func (w *engine) deleteBatch(ctx context.Context, batch []change) []change {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
	for i, c := range batch {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(c.receipt)}
	}
	out, err := w.api.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(batch[0].url), Entries: entries})
	if err != nil {
		return w.again(batch, "deleting messages", err, nil)
	}
	return w.again(batch, "deleting messages", nil, out.Failed)
}

func (w *engine) changeBatch(ctx context.Context, batch []change) []change {
	// A renewal that was overtaken by a release would undo it.
	w.mu.Lock()
	batch = slices.DeleteFunc(batch, func(c change) bool {
		_, held := w.held[c.renews]
		return c.renews != nil && !held
	})
	w.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(batch))
	for i, c := range batch {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(c.receipt),
			VisibilityTimeout: int32((c.after + time.Second - 1) / time.Second)}
	}
	out, err := w.api.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(batch[0].url), Entries: entries})
	if err != nil {
		return w.again(batch, "changing the visibility of messages", err, nil)
	}
	return w.again(batch, "changing the visibility of messages", nil, out.Failed)
}
