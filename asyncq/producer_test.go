package asyncq_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// sending is SQS with another SendMessageBatch.
type sending struct {
	*memqueue.Service
	send func(context.Context, *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error)
}

func (s *sending) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return s.send(ctx, in)
}

func (w *world) producerOf(api asyncq.QueueAPI, optFns ...func(*asyncq.ProducerOptions)) *asyncq.Producer[string] {
	set := func(o *asyncq.ProducerOptions) { o.Queues, o.Status = testQueues, w.status }
	p, err := asyncq.NewProducer[string](api, append([]func(*asyncq.ProducerOptions){set}, optFns...)...)
	require.NoError(w.t, err)
	return p
}

func TestNewProducer(t *testing.T) {
	full := func(o *asyncq.ProducerOptions) { o.Queues, o.Status = testQueues, asyncq.NewMemoryStatus() }
	for want, set := range map[string]func(*asyncq.ProducerOptions){
		"ProducerOptions.Queues names no queue": func(o *asyncq.ProducerOptions) { o.Queues = asyncq.Queues{DeadLetter: "dead"} },
		"ProducerOptions.Status is missing":     func(o *asyncq.ProducerOptions) { o.Status = nil },
		"is a FIFO queue; only Ordered is one":  func(o *asyncq.ProducerOptions) { o.Queues.Low = "low.fifo" },
		"ProducerOptions.Queues.Ordered is":     func(o *asyncq.ProducerOptions) { o.Queues.Ordered = "ordered" },
	} {
		_, err := asyncq.NewProducer[string](memqueue.New(), full, set)
		assert.ErrorContains(t, err, want)
	}
	_, err := asyncq.NewProducer[string](nil, full)
	assert.ErrorContains(t, err, "a client of SQS")

	p, err := asyncq.NewProducer[string](memqueue.New(), full, func(o *asyncq.ProducerOptions) { o.Queues = asyncq.Queues{Low: "low"} })
	require.NoError(t, err)
	_, err = p.Submit(t.Context(), asyncq.Request[string]{Group: "g"})
	assert.ErrorContains(t, err, "ProducerOptions.Queues.Ordered is empty")
	_, err = p.Submit(t.Context(), asyncq.Request[string]{})
	assert.ErrorContains(t, err, "ProducerOptions.Queues.Normal is empty")
}

// Submit ends with its context, whatever SQS does.
func TestSubmitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.producerOf(&sending{w.queues, func(ctx context.Context, _ *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		var many []asyncq.Request[string]
		for i := range 60 {
			many = append(many, asyncq.Request[string]{Payload: fmt.Sprint(i), Group: "g"}, asyncq.Request[string]{Payload: fmt.Sprint(i)})
		}
		for _, requests := range [][]asyncq.Request[string]{many[:1], many[1:2], many} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			began := time.Now()
			for i, s := range p.SubmitBatch(ctx, requests) {
				if requests[i].Group == "" || i == 0 {
					assert.ErrorIs(t, s.Err, context.DeadlineExceeded)
				} else {
					assert.ErrorIs(t, s.Err, asyncq.ErrGroupStopped)
				}
			}
			assert.Equal(t, 100*time.Millisecond, time.Since(began))
			cancel()
		}
		// Without an end of the context it is SendTimeout that bounds it.
		began := time.Now()
		for _, s := range p.SubmitBatch(t.Context(), many) {
			assert.Error(t, s.Err)
		}
		assert.LessOrEqual(t, time.Since(began), 31*time.Second)
	})
}

// A caller that leaves takes its message along if it was not on its way, and takes
// nothing from the others.
func TestSubmitLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var sizes []int
		p := w.producerOf(&sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			sizes = append(sizes, len(in.Entries))
			select {
			case <-time.After(10 * time.Second):
				return w.queues.SendMessageBatch(ctx, in)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}, func(o *asyncq.ProducerOptions) { o.Linger = time.Second })
		submit := func(id string, limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := p.Submit(ctx, asyncq.Request[string]{ID: id})
			return err
		}
		var wg sync.WaitGroup
		for id, tt := range map[string]struct {
			limit time.Duration
			left  bool
		}{"first": {100 * time.Millisecond, true}, "sending": {5 * time.Second, true}, "stays": {time.Minute, false}, "too": {time.Minute, false}} {
			wg.Go(func() {
				err := submit(id, tt.limit)
				assert.Equal(t, tt.left, errors.Is(err, context.DeadlineExceeded), "%s: %v", id, err)
			})
		}
		wg.Wait()
		assert.Equal(t, []int{3}, sizes, "the first left before it was sent")
		assert.Equal(t, "3", w.inQueue(testQueues.Normal)[0])

		// All leave: nothing goes on for nobody.
		began := time.Now()
		assert.ErrorIs(t, submit("alone", 100*time.Millisecond), context.DeadlineExceeded)
		assert.ErrorIs(t, submit("alone", 3*time.Second), context.DeadlineExceeded)
		assert.Equal(t, 3100*time.Millisecond, time.Since(began))
		assert.Equal(t, []int{3, 1}, sizes)
		// And it can be submitted again.
		require.NoError(t, submit("alone", time.Minute))
		assert.Equal(t, "4", w.inQueue(testQueues.Normal)[0])
	})
}

// refusing passes on what is not refused, as SQS does with a part of a batch.
func refusing(w *world, refuse func(e types.SendMessageBatchRequestEntry) (code string, senderFault bool)) *sending {
	return &sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
		pass, out := *in, &sqs.SendMessageBatchOutput{}
		pass.Entries = nil
		var failed []types.BatchResultErrorEntry
		for _, e := range in.Entries {
			if code, sender := refuse(e); code != "" {
				failed = append(failed, types.BatchResultErrorEntry{Id: e.Id, Code: &code, Message: aws.String("no"), SenderFault: sender})
			} else {
				pass.Entries = append(pass.Entries, e)
			}
		}
		if len(pass.Entries) > 0 {
			var err error
			if out, err = w.queues.SendMessageBatch(ctx, &pass); err != nil {
				return nil, err
			}
		}
		out.Failed = append(out.Failed, failed...)
		return out, nil
	}}
}

// order returns the payloads in the order in which a worker has done them.
func (w *world) order(ids []string) []string {
	var mu sync.Mutex
	var order []string
	stop := w.start(w.worker(func(_ context.Context, j *asyncq.Job[string]) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, j.Payload)
		return nil
	}))
	for _, id := range ids {
		w.wait(id)
	}
	stop()
	return order
}

// Whatever SQS refuses of a batch, what it accepts of a group is in order, and
// nothing is sent behind what it has refused.
func TestGroupStopsAtARefusal(t *testing.T) {
	isOf := func(e types.SendMessageBatchRequestEntry, payload string) bool {
		return assert.ObjectsAreEqual("g", aws.ToString(e.MessageGroupId)) && slices.Contains([]string{payload}, payloadOf(e))
	}
	for name, tt := range map[string]struct {
		refuse func(times int, e types.SendMessageBatchRequestEntry) (string, bool)
		want   []string // done, of 0 1 2 3
	}{
		"for the moment": {func(times int, e types.SendMessageBatchRequestEntry) (string, bool) {
			if isOf(e, "1") && times < 5 {
				return "InternalError", false
			}
			return "", false
		}, []string{"0", "1", "2", "3"}},
		"for good": {func(_ int, e types.SendMessageBatchRequestEntry) (string, bool) {
			if isOf(e, "1") {
				return "InvalidMessageContents", true
			}
			return "", false
		}, []string{"0"}},
		"the first, too long": {func(_ int, e types.SendMessageBatchRequestEntry) (string, bool) {
			if isOf(e, "0") {
				return "InternalError", false
			}
			return "", false
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				times := 0
				p := w.producerOf(refusing(w, func(e types.SendMessageBatchRequestEntry) (string, bool) {
					times++
					return tt.refuse(times, e)
				}))
				var requests []asyncq.Request[string]
				for i := range 4 {
					requests = append(requests, asyncq.Request[string]{ID: fmt.Sprint("g-", i), Payload: fmt.Sprint(i), Group: "g"},
						asyncq.Request[string]{ID: fmt.Sprint("h-", i), Payload: fmt.Sprint("h", i), Group: "h"})
				}
				var accepted []string
				for i, s := range p.SubmitBatch(t.Context(), requests) {
					switch n := i / 2; {
					case requests[i].Group == "h", n < len(tt.want):
						require.NoError(t, s.Err)
						accepted = append(accepted, s.ID)
					case n == len(tt.want):
						var refused *asyncq.RefusedError
						require.ErrorAs(t, s.Err, &refused)
						assert.Equal(t, asyncq.Failed, w.get(s.ID).State)
					default:
						require.ErrorIs(t, s.Err, asyncq.ErrGroupStopped)
						_, err := w.status.Get(t.Context(), s.ID)
						assert.ErrorIs(t, err, asyncq.ErrNotFound)
					}
				}
				var g, h []string
				for _, payload := range w.order(accepted) {
					if payload[0] == 'h' {
						h = append(h, payload)
					} else {
						g = append(g, payload)
					}
				}
				assert.Equal(t, tt.want, g)
				assert.Equal(t, []string{"h0", "h1", "h2", "h3"}, h, "another group goes on")
			})
		})
	}
}

func payloadOf(e types.SendMessageBatchRequestEntry) string {
	var body struct{ Payload string }
	_ = json.Unmarshal([]byte(aws.ToString(e.MessageBody)), &body)
	return body.Payload
}

// A request that is refused before it is sent stops its group as well.
func TestGroupStopsAtABadRequest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		results := w.producer().SubmitBatch(t.Context(), []asyncq.Request[string]{
			{ID: "a", Payload: "1", Group: "g"}, {ID: "b b", Payload: "2", Group: "g"}, {ID: "c", Payload: "3", Group: "g"}, {ID: "d", Payload: "4", Group: "h"}})
		assert.NoError(t, results[0].Err)
		var invalid *asyncq.InvalidRequestError
		assert.ErrorAs(t, results[1].Err, &invalid)
		assert.ErrorIs(t, results[2].Err, asyncq.ErrGroupStopped)
		assert.NoError(t, results[3].Err)
		assert.Equal(t, "2", w.inQueue(testQueues.Ordered)[0])
	})
}

func TestOneIDTwiceInABatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		results := w.producer().SubmitBatch(t.Context(), []asyncq.Request[string]{
			{ID: "a", Payload: "1"}, {ID: "b", Payload: "1"}, {ID: "a", Payload: "1"}, {ID: "a", Payload: "2"}, {}, {}})
		for i, s := range results {
			var invalid *asyncq.InvalidRequestError
			if i == 0 || i == 2 || i == 3 {
				require.ErrorAs(t, s.Err, &invalid)
				assert.Equal(t, "id", invalid.Field)
				assert.Equal(t, "a", s.ID)
			} else {
				require.NoError(t, s.Err, "requests without an id get one each")
			}
		}
		_, err := w.status.Get(t.Context(), "a")
		assert.ErrorIs(t, err, asyncq.ErrNotFound)
		assert.Equal(t, "3", w.inQueue(testQueues.Normal)[0])
	})
}

// A job that SQS has refused is failed, and not queued for a week; its id can be
// submitted again.
func TestRefusedJobIsFailed(t *testing.T) {
	for name, send := range map[string]func(*world) *sending{
		"of a batch": func(w *world) *sending {
			return refusing(w, func(e types.SendMessageBatchRequestEntry) (string, bool) {
				if payloadOf(e) == "bad" {
					return "InvalidMessageContents", true
				}
				return "", false
			})
		},
		"a whole request": func(w *world) *sending {
			return &sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
				if payloadOf(in.Entries[0]) == "bad" {
					return nil, &smithy.OperationError{Err: &types.InvalidMessageContents{Message: aws.String("no")}}
				}
				return w.queues.SendMessageBatch(ctx, in)
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := w.producerOf(send(w))
				told := make(chan asyncq.Status, 1)
				go func() {
					time.Sleep(time.Millisecond) // until there is a status
					told <- w.wait("job")
				}()
				_, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "job", Payload: "bad"})
				var refused *asyncq.RefusedError
				require.ErrorAs(t, err, &refused)
				assert.True(t, refused.SenderFault)
				s := <-told
				assert.Equal(t, asyncq.Failed, s.State)
				assert.True(t, s.Refused)
				assert.Equal(t, refused.ErrorClass(), s.ErrorClass)
				assert.NotZero(t, s.FinishedAt)

				id, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "job", Payload: "good"})
				require.NoError(t, err)
				assert.Equal(t, []string{"good"}, w.order([]string{id}))
				assert.Equal(t, asyncq.Completed, w.get(id).State)
				assert.False(t, w.get(id).Refused)
			})
		})
	}
}

// Of two producers that submit one job, the one that is refused does not fail what
// the other has sent.
func TestRefusedOfTwo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		slow := w.producerOf(&sending{w.queues, func(context.Context, *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			time.Sleep(time.Second)
			return nil, &types.InvalidMessageContents{}
		}})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := slow.Submit(t.Context(), asyncq.Request[string]{ID: "job", Payload: "x"})
			assert.Error(t, err)
		})
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, "job", w.submit(asyncq.Request[string]{ID: "job", Payload: "x"}))
		wg.Wait()
		assert.Equal(t, asyncq.Queued, w.get("job").State)
		assert.Equal(t, []string{"x"}, w.order([]string{"job"}))
	})
}

// A lost answer is no refusal: the job may have been sent.
func TestLostAnswerIsNoRefusal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		lose := true
		p := w.producerOf(&sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			out, err := w.queues.SendMessageBatch(ctx, in)
			if lose {
				return nil, errors.New("connection reset")
			}
			return out, err
		}})
		for _, group := range []string{"", "g"} {
			lose = true
			r := asyncq.Request[string]{ID: "job" + group, Payload: "x" + group, Group: group}
			_, err := p.Submit(t.Context(), r)
			require.Error(t, err)
			assert.Equal(t, asyncq.Queued, w.get(r.ID).State)
			lose = false
			_, err = p.Submit(t.Context(), r)
			require.NoError(t, err)
		}
		assert.Equal(t, "1", w.inQueue(testQueues.Ordered)[0], "SQS knows the message of the same job")
		assert.ElementsMatch(t, []string{"x", "xg"}, w.order([]string{"job", "jobg"}))
	})
}

// An id that comes back after its status has expired is another job: SQS does not
// take it for the same message, and its result is its own.
func TestIDComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Retention = time.Minute })
		var runs atomic.Int32
		stop := w.start(w.worker(func(_ context.Context, j *asyncq.Job[string]) error {
			return j.SetResult(runs.Add(1))
		}))
		for _, group := range []string{"", "g"} {
			runs.Store(0)
			r := asyncq.Request[string]{ID: "report" + group, Payload: "the same", Group: group}
			for day := range 3 {
				_, err := p.Submit(t.Context(), r)
				require.NoError(t, err)
				s := w.wait(r.ID)
				result, err := asyncq.Result[int](t.Context(), w.results, s)
				require.NoError(t, err)
				assert.Equal(t, day+1, result)
				time.Sleep(61 * time.Second)
			}
		}
		stop()
	})
}

// A worker that still has the status of an expired job does not write it over that
// of another job with the same id.
func TestUpdateOfAnExpiredJob(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producer(func(o *asyncq.ProducerOptions) { o.Retention = time.Minute })
		_, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "a", Payload: "1"})
		require.NoError(t, err)
		stale := w.get("a")
		time.Sleep(2 * time.Minute)
		_, err = p.Submit(t.Context(), asyncq.Request[string]{ID: "a", Payload: "2"})
		require.NoError(t, err)
		stale.State = asyncq.Completed
		assert.ErrorIs(t, w.status.Update(t.Context(), stale), asyncq.ErrConflict)
		assert.Equal(t, asyncq.Queued, w.get("a").State)
	})
}

// hostile panics, or ends its goroutine, where a producer calls it.
type hostile struct{ Where string }

func (h hostile) act(where string) {
	switch h.Where {
	case where:
		panic("a prompt")
	case where + ", goexit":
		runtime.Goexit()
	}
}

func (h hostile) Validate() error { h.act("validate"); return nil }
func (h hostile) MarshalJSON() ([]byte, error) {
	h.act("marshal")
	return []byte(`"x"`), nil
}
func (h hostile) ModelAttribute() string { h.act("attribute"); return "" }

type hostileStore struct {
	asyncq.StatusStore
	hostile
}

func (s hostileStore) Create(ctx context.Context, status asyncq.Status) error {
	if status.ID == "bad" {
		s.act("create")
	}
	return s.StatusStore.Create(ctx, status)
}

func (s hostileStore) Update(ctx context.Context, status asyncq.Status) error {
	s.act("update")
	return s.StatusStore.Update(ctx, status)
}

// A panic of what is the caller's is the error of its request, and of no other.
func TestProducerPanics(t *testing.T) {
	for _, where := range []string{"validate", "marshal", "attribute", "attribute, goexit", "create", "create, goexit", "update", "trace", "send", "send, goexit"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				h := hostile{where}
				api := &sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
					h.act("send")
					if where == "update" {
						return nil, &types.InvalidMessageContents{}
					}
					return w.queues.SendMessageBatch(ctx, in)
				}}
				p, err := asyncq.NewProducer[hostile](api, func(o *asyncq.ProducerOptions) {
					o.Queues, o.Status = testQueues, hostileStore{w.status, h}
					o.TraceParent = func(context.Context) string { h.act("trace"); return "" }
				})
				require.NoError(t, err)
				results := p.SubmitBatch(t.Context(), []asyncq.Request[hostile]{{ID: "good"}, {ID: "bad", Payload: h}})
				assert.Error(t, results[1].Err)
				assert.NotContains(t, fmt.Sprint(results[1].Err), "a prompt")
				if where != "trace" && where != "update" && where[:4] != "send" { // those are of both
					assert.NoError(t, results[0].Err)
				} else {
					assert.Error(t, results[0].Err)
				}
			})
		})
	}
}

// What is sent when the context ends is accepted, and a caller that leaves with many
// batches under way hears so of each.
func TestSubmitBatchOfWhichAPartIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var sent atomic.Int32
		p := w.producerOf(&sending{w.queues, func(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			if sent.Add(1) == 3 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return w.queues.SendMessageBatch(ctx, in)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		failed := 0
		for _, s := range p.SubmitBatch(ctx, make([]asyncq.Request[string], 300)) {
			if s.Err != nil {
				assert.ErrorIs(t, s.Err, context.DeadlineExceeded)
				failed++
			}
		}
		assert.Equal(t, 10, failed)
		assert.Equal(t, "290", w.inQueue(testQueues.Normal)[0])
	})
}

// A request that SQS throttles was refused for the moment.
func TestThrottledRequest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.producerOf(&sending{w.queues, func(context.Context, *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
			return nil, &types.RequestThrottled{Message: aws.String("slow down")}
		}})
		_, err := p.Submit(t.Context(), asyncq.Request[string]{ID: "job", Payload: "x"})
		var refused *asyncq.RefusedError
		require.ErrorAs(t, err, &refused)
		assert.False(t, refused.SenderFault)
		assert.Equal(t, "RequestThrottled", w.get("job").ErrorClass)
		var throttled *types.RequestThrottled
		assert.ErrorAs(t, err, &throttled)
	})
}
