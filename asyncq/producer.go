package asyncq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ProducerOptions are those of a [Producer]. The zero value of a field means its
// default.
type ProducerOptions struct {
	// Queues are where jobs go; the default is [DefaultQueues].
	Queues Queues

	// Status keeps the statuses; the default is one in memory, which only a
	// worker of the same process sees. Payloads keeps what is too large for a
	// message; without one such a request is refused.
	Status   StatusStore
	Payloads BlobStore

	// OffloadBytes is how long a message may be, with its attributes and with
	// 1 KiB for those of a dead letter, before its payload goes to Payloads. The
	// default is 256 KiB, which fits into any queue, at most 1 MiB, the bound of
	// SQS.
	OffloadBytes int

	// Linger is how long a submission waits for others, to be sent with them in
	// one request. The default is 5 ms; negative means not at all.
	Linger time.Duration

	// SendTimeout bounds a request to SQS with its retries; the default is 30 s.
	SendTimeout time.Duration

	// Keep is how long statuses are kept; the default is 7 days.
	Keep time.Duration

	// TraceParent returns the W3C trace context of a submission, or nothing.
	TraceParent func(context.Context) string
}

// A Producer accepts jobs. It is safe for concurrent use: what many goroutines
// submit at once is sent together.
type Producer[T any] struct {
	api QueueAPI
	o   ProducerOptions

	mu      sync.Mutex
	urls    map[string]string // by name
	batches map[string]*batch // by queue URL, still gathering
	before  map[string]*batch // the one before it, of a FIFO queue
}

// NewProducer returns a producer of jobs with payloads of type T.
func NewProducer[T any](api QueueAPI, optFns ...func(*ProducerOptions)) *Producer[T] {
	var o ProducerOptions
	for _, fn := range optFns {
		fn(&o)
	}
	setDefault(&o.Queues, DefaultQueues)
	if o.Status == nil {
		o.Status = NewMemoryStatus()
	}
	setPositive(&o.OffloadBytes, 256<<10)
	o.OffloadBytes = min(o.OffloadBytes, maxMessageBytes)
	setDefault(&o.Linger, 5*time.Millisecond)
	setPositive(&o.SendTimeout, 30*time.Second)
	setPositive(&o.Keep, 7*24*time.Hour)
	return &Producer[T]{api: api, o: o, urls: map[string]string{}, batches: map[string]*batch{}, before: map[string]*batch{}}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// setPositive is setDefault where less than zero has no meaning either.
func setPositive[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// ErrPayloadDiffers is the error of an id that was submitted before with another
// payload.
var ErrPayloadDiffers = errors.New("the id was submitted before with another payload")

// Submit accepts a job and returns its id: the status is stored as queued, and
// then the message is sent. With an error nothing is promised: the job may have
// been sent, if the connection broke; submitting it again with the same ID
// cannot do it twice.
func (p *Producer[T]) Submit(ctx context.Context, r Request[T]) (string, error) {
	result := p.SubmitBatch(ctx, []Request[T]{r})[0]
	return result.ID, result.Err
}

// Submitted is what became of one request of a batch.
type Submitted struct {
	ID  string
	Err error // nil where it was accepted
}

// SubmitBatch accepts many jobs, in requests to SQS of at most ten messages and
// 1 MiB, and says of each what became of it, in their order. Parts that SQS
// refused for the moment are sent again.
func (p *Producer[T]) SubmitBatch(ctx context.Context, requests []Request[T]) []Submitted {
	results := make([]Submitted, len(requests))
	waits := make([]func() error, len(requests))
	prepare := func(i int) {
		id, wait, err := p.prepare(ctx, requests[i])
		results[i] = Submitted{ID: id, Err: err}
		waits[i] = wait
	}
	ordered := slices.ContainsFunc(requests, func(r Request[T]) bool { return r.Group != "" })
	if ordered || len(requests) == 1 {
		for i := range requests {
			prepare(i)
		}
	} else { // a status is a request to its store
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range requests {
			slots <- struct{}{}
			wg.Go(func() {
				prepare(i)
				<-slots
			})
		}
		wg.Wait()
	}
	// All of them are in batches by now; a batch that is full is on its way.
	for i, wait := range waits {
		if wait == nil {
			continue
		}
		if err := wait(); err != nil {
			results[i].Err = fmt.Errorf("asyncq: sending job %s: %w", results[i].ID, err)
		}
	}
	return results
}

// prepare stores the status of a job and puts its message into a batch. The wait
// it returns ends when the batch was sent; nil where nothing is to be sent.
func (p *Producer[T]) prepare(ctx context.Context, r Request[T]) (id string, wait func() error, err error) {
	now := time.Now()
	e, err := seal(r, now)
	if err != nil {
		return r.ID, nil, err
	}
	name := p.queueOf(e)
	if name == "" {
		return e.ID, nil, &InvalidRequestError{Field: "group or priority", Reason: "names a queue that the producer does not have; see ProducerOptions.Queues"}
	}
	url, err := p.url(ctx, name)
	if err != nil {
		return e.ID, nil, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return e.ID, nil, err
	}
	entry := types.SendMessageBatchRequestEntry{MessageAttributes: p.attributes(ctx, e, r.Payload)}
	payload := e.Payload
	offload := len(escape(body))+sizeOf(entry)+maxLetterBytes > p.o.OffloadBytes
	if offload {
		if p.o.Payloads == nil {
			return e.ID, nil, &InvalidRequestError{Field: "payload", Reason: fmt.Sprintf("has %d bytes; a message of more than %d needs ProducerOptions.Payloads", len(payload), p.o.OffloadBytes)}
		}
		e.Payload, e.PayloadKey = nil, e.key("payloads")
		if body, err = json.Marshal(e); err != nil {
			return e.ID, nil, err
		}
	}

	status := Status{ID: e.ID, State: Queued, Priority: e.Priority, Queue: queueName(name), Metadata: maps.Clone(e.Metadata),
		CreatedAt: e.CreatedAt, UpdatedAt: e.CreatedAt, ExpiresAt: e.CreatedAt.Add(p.o.Keep), PayloadHash: e.PayloadHash}
	if err := p.o.Status.Create(ctx, status); err != nil {
		if !errors.Is(err, ErrExists) {
			return e.ID, nil, fmt.Errorf("asyncq: storing the status of job %s: %w", e.ID, err)
		}
		// The same job once more. One that may not have been sent is sent
		// again; the worker does it once.
		old, err := p.o.Status.Get(ctx, e.ID)
		switch {
		case err != nil:
			return e.ID, nil, fmt.Errorf("asyncq: reading the status of job %s: %w", e.ID, err)
		case old.PayloadHash != e.PayloadHash:
			return e.ID, nil, fmt.Errorf("asyncq: job %s: %w", e.ID, ErrPayloadDiffers)
		case old.State != Queued || old.Attempt > 0:
			return e.ID, nil, nil
		}
	}
	if offload {
		if err := p.o.Payloads.Put(ctx, e.PayloadKey, payload); err != nil && !errors.Is(err, ErrExists) {
			return e.ID, nil, fmt.Errorf("asyncq: storing the payload of job %s: %w", e.ID, err)
		}
	}

	entry.MessageBody = aws.String(string(escape(body)))
	if e.Group != "" {
		entry.MessageGroupId = aws.String(e.Group)
		entry.MessageDeduplicationId = aws.String(e.ID)
		if r.DeduplicationID != "" {
			entry.MessageDeduplicationId = aws.String(r.DeduplicationID)
		}
	} else if r.Delay > 0 {
		entry.DelaySeconds = int32((r.Delay + time.Second - 1) / time.Second)
	}
	return e.ID, p.enqueue(ctx, url, entry), nil
}

// queueOf is the name of the queue that a job goes to.
func (p *Producer[T]) queueOf(e envelope) string {
	switch {
	case e.Group != "":
		return p.o.Queues.Ordered
	case e.Priority == High:
		return p.o.Queues.High
	case e.Priority == Low:
		return p.o.Queues.Low
	}
	return p.o.Queues.Normal
}

// attributes are those of the message, for filters and for people who look at it.
func (p *Producer[T]) attributes(ctx context.Context, e envelope, payload T) map[string]types.MessageAttributeValue {
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
	}
	a := map[string]types.MessageAttributeValue{"RequestId": text(e.ID), "Priority": text(string(e.Priority))}
	if own, ok := any(payload).(interface{ ModelAttribute() string }); ok && own.ModelAttribute() != "" {
		a["ModelId"] = text(own.ModelAttribute())
	}
	if p.o.TraceParent != nil {
		if parent := p.o.TraceParent(ctx); parent != "" {
			a["traceparent"] = text(parent)
		}
	}
	return a
}

// A batch gathers the messages of one request. Whoever began it sends it.
type batch struct {
	entries []types.SendMessageBatchRequestEntry
	bytes   int
	after   *batch        // must be sent before this one
	full    chan struct{} // closed when no more fits
	done    chan struct{} // closed when it was sent
	errs    []error
}

func sizeOf(e types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(e.MessageBody))
	for name, a := range e.MessageAttributes {
		n += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue))
	}
	return n
}

// enqueue adds a message to the batch of its queue and returns the wait for its
// end. No goroutine outlives the wait of whoever began the batch.
func (p *Producer[T]) enqueue(ctx context.Context, url string, entry types.SendMessageBatchRequestEntry) func() error {
	size := sizeOf(entry)
	p.mu.Lock()
	b := p.batches[url]
	if b != nil && (len(b.entries) == maxBatch || b.bytes+size > maxMessageBytes) {
		p.close(url, b)
		b = nil
	}
	first := b == nil
	if first {
		b = &batch{full: make(chan struct{}), done: make(chan struct{})}
		p.batches[url] = b
		if strings.HasSuffix(url, ".fifo") {
			b.after, p.before[url] = p.before[url], b
		}
	}
	index := len(b.entries)
	entry.Id = aws.String(strconv.Itoa(index))
	b.entries = append(b.entries, entry)
	b.bytes += size
	if len(b.entries) == maxBatch {
		p.close(url, b)
	}
	p.mu.Unlock()

	if first {
		sent := make(chan struct{})
		go func() { // ended by the wait below, at the latest after Linger and SendTimeout
			defer close(sent)
			p.lead(context.WithoutCancel(ctx), url, b)
		}()
		return func() error {
			<-sent
			return b.errs[index]
		}
	}
	return func() error {
		select {
		case <-b.done:
			return b.errs[index]
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// close ends the gathering of a batch. p.mu is held.
func (p *Producer[T]) close(url string, b *batch) {
	if p.batches[url] == b {
		delete(p.batches, url)
		close(b.full)
	}
}

// lead waits for others and sends the batch.
func (p *Producer[T]) lead(ctx context.Context, url string, b *batch) {
	if p.o.Linger > 0 {
		timer := time.NewTimer(p.o.Linger)
		select {
		case <-timer.C:
		case <-b.full:
		}
		timer.Stop()
	}
	p.mu.Lock()
	p.close(url, b)
	p.mu.Unlock()
	if b.after != nil {
		<-b.after.done
		b.after = nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.SendTimeout)
	defer cancel()
	b.errs = p.send(ctx, url, b.entries)
	close(b.done)
}

// send sends one batch, and again what SQS refused for the moment.
func (p *Producer[T]) send(ctx context.Context, url string, entries []types.SendMessageBatchRequestEntry) []error {
	errs := make([]error, len(entries))
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		out, err := p.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(url), Entries: entries})
		if err != nil {
			for _, e := range entries {
				errs[index(e.Id)] = err
			}
			return errs
		}
		for _, e := range entries {
			errs[index(e.Id)] = nil
		}
		var again []types.SendMessageBatchRequestEntry
		for _, f := range out.Failed {
			i := index(f.Id)
			errs[i] = fmt.Errorf("SQS refused the message: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
			if !f.SenderFault {
				for _, e := range entries {
					if aws.ToString(e.Id) == aws.ToString(f.Id) {
						again = append(again, e)
					}
				}
			}
		}
		if len(again) == 0 {
			return errs
		}
		entries = again
		select {
		case <-ctx.Done():
			return errs
		case <-time.After(wait):
		}
	}
}

func index(id *string) int {
	n, _ := strconv.Atoi(aws.ToString(id)) // it is one of ours
	return n
}

// url finds the URL of a queue once.
func (p *Producer[T]) url(ctx context.Context, name string) (string, error) {
	p.mu.Lock()
	url := p.urls[name]
	p.mu.Unlock()
	if url != "" {
		return url, nil
	}
	url, err := queueURL(ctx, p.api, name)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.urls[name] = url
	p.mu.Unlock()
	return url, nil
}

// queueURL is the URL of a queue that is given by its name or its URL.
func queueURL(ctx context.Context, api interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	out, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	if err != nil {
		return "", fmt.Errorf("asyncq: finding the queue %q: %w", name, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// queueName is the last part of a queue's URL.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
