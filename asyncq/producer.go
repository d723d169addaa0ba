package asyncq

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ProducerOptions are the options of a [Producer]. The zero value of a field means its
// default.
type ProducerOptions struct {
	// Queues are the queues that jobs go to. At least one of High, Normal, Low and
	// Ordered is required. A request for a queue that is empty here is refused.
	Queues Queues

	// Status keeps the statuses. It is required, and must be the store that the
	// workers use. [NewMemoryStatus] is enough if they are in the same process.
	Status StatusStore

	// Payloads keeps payloads that are too large for a message. By default there
	// is none, and such a request is refused.
	Payloads BlobStore

	// OffloadBytes is how large a message may be before its payload goes to Payloads.
	// The size includes its attributes, and 1 KiB for the attributes of a dead letter.
	// The default is 256 KiB, which fits into any queue. The maximum is 1 MiB, the
	// bound of SQS.
	OffloadBytes int

	// Linger is how long a submission waits for others, to be sent with them in one
	// request. The default is 5 ms; negative means that it does not wait.
	Linger time.Duration

	// SendTimeout bounds a request to SQS with its retries. The default is 30 s.
	SendTimeout time.Duration

	// Retention is how long statuses are kept. The default is 7 days.
	Retention time.Duration

	// Callbacks says which callback URLs are allowed. It should be the same policy as
	// in webhook.Options.
	Callbacks CallbackPolicy

	// TraceParent returns the W3C trace context of a submission, or an empty string.
	TraceParent func(context.Context) string
}

// A Producer accepts jobs. It is safe for concurrent use. Jobs that many goroutines
// submit at the same time are sent together.
type Producer[T any] struct {
	o ProducerOptions
	sender
}

// NewProducer returns a producer of jobs with payloads of type T. It fails if
// ProducerOptions.Queues or ProducerOptions.Status is missing.
func NewProducer[T any](api QueueAPI, optFns ...func(*ProducerOptions)) (*Producer[T], error) {
	var o ProducerOptions
	for _, fn := range optFns {
		fn(&o)
	}
	q := o.Queues
	switch {
	case api == nil:
		return nil, errors.New("asyncq: NewProducer needs a client of SQS")
	case q.High == "" && q.Normal == "" && q.Low == "" && q.Ordered == "":
		return nil, errors.New("asyncq: ProducerOptions.Queues names no queue to send to; set High, Normal, Low or Ordered")
	case isFIFO(q.High), isFIFO(q.Normal), isFIFO(q.Low):
		return nil, errors.New("asyncq: one of ProducerOptions.Queues is a FIFO queue; only Ordered is one")
	case q.Ordered != "" && !isFIFO(q.Ordered):
		return nil, fmt.Errorf("asyncq: ProducerOptions.Queues.Ordered is %q, which is not a FIFO queue: its name would end with .fifo", queueName(q.Ordered))
	case o.Status == nil:
		return nil, errors.New("asyncq: ProducerOptions.Status is missing; it is the status store of the workers")
	}
	setPositive(&o.OffloadBytes, 256<<10)
	o.OffloadBytes = min(o.OffloadBytes, maxMessageBytes)
	setDefault(&o.Linger, 5*time.Millisecond)
	setPositive(&o.SendTimeout, 30*time.Second)
	setPositive(&o.Retention, 7*24*time.Hour)
	o.Callbacks.Ports, o.Callbacks.AllowPrefixes = slices.Clone(o.Callbacks.Ports), slices.Clone(o.Callbacks.AllowPrefixes)
	return &Producer[T]{o: o, sender: sender{api: api, status: o.Status, linger: o.Linger, timeout: o.SendTimeout,
		urls: map[string]string{}, batches: map[string]*batch{}}}, nil
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

// ErrPayloadDiffers is the error of Submit if the id was submitted before with another
// payload.
var ErrPayloadDiffers = errors.New("the id was submitted before with another payload")

// ErrGroupStopped is the error of a request that SubmitBatch did not send, because an
// earlier request of its group was refused or may not have been sent. Nothing is
// stored for it.
var ErrGroupStopped = errors.New("asyncq: a request before it in its group was not accepted")

// errEnded is the error of a request if something of the caller's has ended the
// goroutine that submits or sends it.
var errEnded = errors.New("asyncq: the goroutine has ended before the job was sent")

// Submit accepts a job and returns its id. It stores the status queued and then sends
// the message. It returns at the latest when ctx ends.
//
// After an error, the job may or may not run. If SQS has refused the message, the
// error is a [*RefusedError] and the status is failed. If the context or the
// connection has ended, the job may have been sent. In both cases you can submit it
// again with the same ID; it is not done twice.
func (p *Producer[T]) Submit(ctx context.Context, r Request[T]) (string, error) {
	result := p.SubmitBatch(ctx, []Request[T]{r})[0]
	return result.ID, result.Err
}

// Submitted is the result of one request of a batch.
type Submitted struct {
	ID  string
	Err error // nil if the job was accepted
}

// SubmitBatch accepts many jobs, in requests to SQS of at most ten messages and 1 MiB.
// It returns the result of each, in the order of the requests. It sends again what SQS
// refuses temporarily. All requests are validated before anything is stored or sent.
// Requests with the same ID are refused.
//
// The requests of one group are sent one after another, each after SQS has accepted
// the one before it. If one is refused, the group stops: the requests after it get
// [ErrGroupStopped].
func (p *Producer[T]) SubmitBatch(ctx context.Context, requests []Request[T]) []Submitted {
	results := make([]Submitted, len(requests))
	jobs := make([]envelope, len(requests))
	uses := make(map[string]int, len(requests))
	for _, r := range requests {
		uses[r.ID]++
	}
	for i, r := range requests {
		err := guarded("the payload", func() (err error) {
			jobs[i], err = seal(r, time.Now(), p.o.Callbacks)
			return err
		})
		if err == nil && r.ID != "" && uses[r.ID] > 1 {
			err = &InvalidRequestError{Field: "id", Reason: fmt.Sprintf("is that of %d requests of the batch; an id stands for one job", uses[r.ID])}
		}
		results[i] = Submitted{ID: cmp.Or(jobs[i].ID, r.ID), Err: err}
	}
	// Each round has one request of each group, and the first also all without one.
	var rounds [][]int
	turn := map[string]int{}
	for i, r := range requests {
		n := turn[r.Group]
		if r.Group != "" {
			turn[r.Group]++
		}
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], i)
	}
	stopped := map[string]bool{}
	for n, round := range rounds {
		for _, i := range round {
			if results[i].Err == nil && stopped[requests[i].Group] {
				results[i].Err = ErrGroupStopped
			}
		}
		p.submit(ctx, requests, jobs, results, round, n > 0)
		for _, i := range round {
			if group := requests[i].Group; group != "" && results[i].Err != nil {
				stopped[group] = true
			}
		}
	}
	return results
}

// submit submits the requests of a round that have no error yet. At once says not to
// wait for others to send them with.
func (p *Producer[T]) submit(ctx context.Context, requests []Request[T], jobs []envelope, results []Submitted, round []int, atOnce bool) {
	round = slices.DeleteFunc(slices.Clone(round), func(i int) bool { return results[i].Err != nil })
	waits := make([]func() error, len(round))
	prepare := func(n int) {
		i := round[n]
		results[i].Err = errEnded // until it is known to be better
		results[i].Err = guarded("a store, or something else that submitting has called,", func() (err error) {
			waits[n], err = p.prepare(ctx, &jobs[i], requests[i])
			return err
		})
	}
	if len(round) == 1 {
		prepare(0)
	} else { // a status is a request to its store
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for n := range round {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				prepare(n)
			})
		}
		wg.Wait()
	}
	if atOnce {
		p.flush(p.o.Queues.Ordered)
	}
	// All of them are in batches by now; a batch that is full is on its way.
	for n, i := range round {
		if waits[n] == nil {
			continue
		}
		if err := waits[n](); err != nil {
			results[i].Err = fmt.Errorf("asyncq: sending job %s: %w", results[i].ID, err)
		}
	}
}

// prepare stores the status of a job and puts its message into a batch. The wait
// it returns ends when the batch was sent; it is nil if nothing is to be sent.
func (p *Producer[T]) prepare(ctx context.Context, e *envelope, r Request[T]) (wait func() error, err error) {
	name, field := p.o.Queues.of(e)
	if name == "" {
		return nil, &InvalidRequestError{Field: "group or priority", Reason: "goes to a queue that the producer does not have: ProducerOptions.Queues." + field + " is empty"}
	}
	url, err := p.url(ctx, name)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	m := &message{entry: types.SendMessageBatchRequestEntry{MessageAttributes: p.attributes(ctx, e, r.Payload)}}
	payload := e.Payload
	offload := len(escape(body))+sizeOf(m.entry)+maxLetterBytes > p.o.OffloadBytes
	if offload && p.o.Payloads == nil {
		return nil, &InvalidRequestError{Field: "payload", Reason: fmt.Sprintf("has %d bytes; a message of more than %d needs ProducerOptions.Payloads", len(payload), p.o.OffloadBytes)}
	}
	created := e.CreatedAt
	send, err := p.admit(ctx, e, m, queueName(name))
	if err != nil || !send {
		return nil, err
	}
	if offload {
		e.Payload, e.PayloadKey = nil, e.key("payloads")
		if err := p.o.Payloads.Put(ctx, e.PayloadKey, payload); err != nil && !errors.Is(err, ErrExists) {
			return nil, fmt.Errorf("asyncq: storing the payload of job %s: %w", e.ID, err)
		}
	}
	if offload || !e.CreatedAt.Equal(created) {
		if body, err = json.Marshal(e); err != nil {
			return nil, err
		}
	}
	m.entry.MessageBody = aws.String(string(escape(body)))
	if e.Group != "" {
		m.entry.MessageGroupId = aws.String(e.Group)
		// The same for the same job, and another one for an id that is used again.
		m.entry.MessageDeduplicationId = aws.String(fmt.Sprintf("%x", sha256.Sum256([]byte(e.key("")))))
	} else if r.Delay > 0 {
		m.entry.DelaySeconds = int32((r.Delay + time.Second - 1) / time.Second)
	}
	return p.enqueue(ctx, url, m), nil
}

// admit stores the status of a job as queued and reports whether its message is to
// be sent. Of an id that is stored already it is if the job may not have been sent.
func (p *Producer[T]) admit(ctx context.Context, e *envelope, m *message, queue string) (send bool, err error) {
	fresh := Status{ID: e.ID, State: Queued, Priority: e.Priority, Queue: queue, Metadata: maps.Clone(e.Metadata),
		CreatedAt: e.CreatedAt, UpdatedAt: e.CreatedAt, ExpiresAt: e.CreatedAt.Add(p.o.Retention), PayloadHash: e.PayloadHash}
	for range 10 {
		err := p.o.Status.Create(ctx, fresh)
		if err == nil {
			fresh.Version = 1
			m.status, m.mine = fresh, true
			return true, nil
		}
		if !errors.Is(err, ErrExists) {
			return false, fmt.Errorf("asyncq: storing the status of job %s: %w", e.ID, err)
		}
		old, err := p.o.Status.Get(ctx, e.ID)
		switch {
		case errors.Is(err, ErrNotFound): // it has expired meanwhile
			continue
		case err != nil:
			return false, fmt.Errorf("asyncq: reading the status of job %s: %w", e.ID, err)
		case old.Refused && old.State == Failed && old.Attempt == 0: // no queue has had it, so this is another job
			m.status, m.mine = fresh, true
			m.status.CreatedAt, m.status.Version = old.CreatedAt, old.Version
		case old.PayloadHash != e.PayloadHash:
			return false, fmt.Errorf("asyncq: job %s: %w", e.ID, ErrPayloadDiffers)
		case old.State != Queued || old.Attempt > 0:
			return false, nil
		default:
			// The update keeps the producer that has stored it from failing it.
			m.status, m.mine = old, false
			m.status.UpdatedAt = fresh.UpdatedAt
		}
		err = p.o.Status.Update(ctx, m.status)
		switch {
		case err == nil:
			m.status.Version++
			e.CreatedAt = m.status.CreatedAt // it is the same job, by its message too
			return true, nil
		case !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound):
			return false, fmt.Errorf("asyncq: storing the status of job %s: %w", e.ID, err)
		}
	}
	return false, fmt.Errorf("asyncq: storing the status of job %s: %w", e.ID, ErrConflict)
}

// attributes are those of the message, for filters and for people who look at it.
func (p *Producer[T]) attributes(ctx context.Context, e *envelope, payload T) map[string]types.MessageAttributeValue {
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
