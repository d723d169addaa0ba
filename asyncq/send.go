package asyncq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A RefusedError is the error of a message that SQS has refused, either the message or
// its whole request. The status of its job is failed. An [OpError] of "delete",
// "change visibility" or "send dead letter" wraps one if SQS has refused that
// operation for a message.
type RefusedError struct {
	Code        string // such as "InvalidMessageContents"
	Message     string // what SQS says
	SenderFault bool   // sending it again unchanged would not help

	err error // of the request
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("SQS refused the message: %s: %s", e.Code, e.Message)
}

// Unwrap returns the error of a request that was refused as a whole.
func (e *RefusedError) Unwrap() error { return e.err }

// ErrorClass returns the code.
func (e *RefusedError) ErrorClass() string {
	return cmp.Or(e.Code[:min(len(e.Code), maxClassBytes)], "refused")
}

// refused is the error of an entry of a request.
func refused(f types.BatchResultErrorEntry) *RefusedError {
	return &RefusedError{Code: aws.ToString(f.Code), Message: aws.ToString(f.Message), SenderFault: f.SenderFault}
}

// requestError is the error of a request: a RefusedError if SQS has answered that it
// did not take it. Else the answer may have been lost.
func requestError(err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	refused := api.ErrorFault() == smithy.FaultClient
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status := answer.HTTPStatusCode()
		refused = refused || status >= 400 && status < 500 && status != http.StatusRequestTimeout
	}
	if !refused {
		return err
	}
	_, later := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return &RefusedError{Code: api.ErrorCode(), Message: api.ErrorMessage(), SenderFault: !later, err: err}
}

// A sender sends messages, those of many callers together.
type sender struct {
	api     QueueAPI
	status  StatusStore
	linger  time.Duration
	timeout time.Duration

	mu      sync.Mutex
	urls    map[string]string // by name
	batches map[string]*batch // by queue URL, still gathering
}

// A message is that of a job.
type message struct {
	entry  types.SendMessageBatchRequestEntry
	status Status // as it is stored
	mine   bool   // nobody else can have sent it: if it is refused, the job is failed
	err    error  // once its batch is done
}

// A batch gathers the messages of one request.
type batch struct {
	messages []*message
	bytes    int
	waiting  int                // callers that wait for it
	cancel   context.CancelFunc // once nobody waits
	full     chan struct{}      // closed when it is not to gather any more
	done     chan struct{}      // closed when it was sent
}

func sizeOf(e types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(e.MessageBody))
	for name, a := range e.MessageAttributes {
		n += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue))
	}
	return n
}

// enqueue adds a message to the batch of its queue and returns the wait for its
// end, which has to be called. The batch is sent by a goroutine that ends before the
// last of these waits does.
func (s *sender) enqueue(ctx context.Context, url string, m *message) func() error {
	size := sizeOf(m.entry)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.batches[url]
	if b != nil && b.bytes+size > maxMessageBytes {
		s.close(url, b)
		b = nil
	}
	if b == nil {
		b = &batch{full: make(chan struct{}), done: make(chan struct{})}
		var sending context.Context
		sending, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
		s.batches[url] = b
		go s.lead(sending, url, b)
	}
	b.messages = append(b.messages, m)
	b.bytes += size
	b.waiting++
	if len(b.messages) == maxBatch {
		s.close(url, b)
	}
	return func() error { return s.wait(ctx, url, b, m) }
}

// wait waits for the end of a message's batch. A caller whose context ends leaves it,
// with its message if that is not under way. The last one that leaves ends it.
func (s *sender) wait(ctx context.Context, url string, b *batch, m *message) error {
	select {
	case <-b.done:
		return m.err
	case <-ctx.Done():
	}
	select {
	case <-b.done: // before the context ended, or with it
		return m.err
	default:
	}
	s.mu.Lock()
	gathering := s.batches[url] == b
	if gathering {
		b.messages = slices.DeleteFunc(b.messages, func(other *message) bool { return other == m })
		b.bytes -= sizeOf(m.entry)
	}
	b.waiting--
	last := b.waiting == 0
	if last {
		s.close(url, b)
		b.cancel()
	}
	s.mu.Unlock()
	if last {
		<-b.done
		if !gathering && m.err == nil {
			return nil // SQS has taken it, at the last moment
		}
	}
	return context.Cause(ctx)
}

// close ends the gathering of a batch. s.mu is held.
func (s *sender) close(url string, b *batch) {
	if s.batches[url] == b {
		delete(s.batches, url)
		close(b.full)
	}
}

// flush has what is gathered for a queue sent now.
func (s *sender) flush(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	url := cmp.Or(s.urls[name], name)
	if b := s.batches[url]; b != nil {
		s.close(url, b)
	}
}

// lead waits for others and sends the batch.
func (s *sender) lead(ctx context.Context, url string, b *batch) {
	defer close(b.done)
	defer b.cancel()
	if s.linger > 0 {
		timer := time.NewTimer(s.linger)
		select {
		case <-timer.C:
		case <-b.full:
		}
		timer.Stop()
	}
	s.mu.Lock()
	s.close(url, b)
	messages := b.messages
	s.mu.Unlock()
	for _, m := range messages {
		m.err = errEnded // until it is known to be better
	}
	err := guarded("the client of SQS", func() error {
		s.send(ctx, url, messages)
		return nil
	})
	for _, m := range messages {
		if err != nil && m.err == errEnded {
			m.err = err
		}
		s.fail(ctx, m)
	}
}

// send sends messages, and again what SQS refused for the moment.
func (s *sender) send(ctx context.Context, url string, messages []*message) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	open := make([]int, len(messages))
	for i, m := range messages {
		open[i] = i
		m.entry.Id = aws.String(strconv.Itoa(i))
	}
	for wait := 50 * time.Millisecond; len(open) > 0; wait = min(2*wait, 2*time.Second) {
		entries := make([]types.SendMessageBatchRequestEntry, len(open))
		for i, n := range open {
			entries[i] = messages[n].entry
		}
		out, err := s.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(url), Entries: entries})
		if err != nil {
			err = requestError(err)
		}
		for _, n := range open {
			messages[n].err = err
		}
		if err != nil {
			return
		}
		open = nil
		for _, f := range out.Failed {
			n := index(f.Id)
			messages[n].err = refused(f)
			if !f.SenderFault {
				open = append(open, n)
			}
		}
		if len(open) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// index is the place of an entry in its request, by its id.
func index(id *string) int {
	n, _ := strconv.Atoi(aws.ToString(id)) // it is one of ours
	return n
}

// fail has the status of a job whose message was refused say so, for those who wait
// for it.
func (s *sender) fail(ctx context.Context, m *message) {
	refused, ok := errors.AsType[*RefusedError](m.err)
	if !ok || !m.mine {
		return
	}
	err := guarded("the status store", func() error {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		failed := m.status
		failed.State, failed.Refused, failed.ErrorClass = Failed, true, refused.ErrorClass()
		failed.FinishedAt = time.Now().UTC()
		failed.UpdatedAt = failed.FinishedAt
		return s.status.Update(ctx, failed)
	})
	// After a conflict it is another's: cancelled, or submitted again.
	if err != nil && !errors.Is(err, ErrConflict) {
		m.err = fmt.Errorf("%w; its status still says queued: %w", m.err, err)
	}
}

// url finds the URL of a queue once.
func (s *sender) url(ctx context.Context, name string) (string, error) {
	s.mu.Lock()
	url := s.urls[name]
	s.mu.Unlock()
	if url != "" {
		return url, nil
	}
	url, err := queueURL(ctx, s.api, name)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.urls[name] = url
	s.mu.Unlock()
	return url, nil
}
