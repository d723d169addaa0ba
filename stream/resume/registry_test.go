package resume_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a model that gives every question the same answer.
func fake(t *testing.T, reply *bedrocktest.Reply) *bedrocktest.Server {
	t.Helper()
	return bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return reply }
	})
}

// ask opens a stream of the model.
func ask(srv *bedrocktest.Server) resume.Opener {
	client := bedrockx.New(srv.Client())
	return func(ctx context.Context) (stream.Source, error) {
		return stream.Converse(ctx, client, &bedrockruntime.ConverseStreamInput{
			ModelId:  aws.String("us.amazon.nova-lite-v1:0"),
			Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hi"}}}},
		})
	}
}

// source is a source of a function.
type source iter.Seq2[stream.Message, error]

func (s source) Messages() iter.Seq2[stream.Message, error] {
	return iter.Seq2[stream.Message, error](s)
}
func (s source) Close() error { return nil }

// reader collects what it reads and checks the sequences.
type reader struct {
	t     *testing.T
	after int64
	text  string
	last  stream.Message
}

// read reads until n messages have come, the end or an error.
func (r *reader) read(ctx context.Context, registry *resume.Registry, id string, n int) error {
	for m, err := range registry.Read(ctx, id, r.after) {
		if err != nil {
			return err
		}
		assert.Equal(r.t, r.after+1, m.Sequence)
		assert.False(r.t, r.last.Last(), "a message after the last one")
		r.after, r.last = m.Sequence, m
		r.text += m.Data
		if n--; n == 0 {
			return nil
		}
	}
	return nil
}

// all reads an answer from its beginning.
func all(t *testing.T, registry *resume.Registry, id string) *reader {
	t.Helper()
	r := &reader{t: t}
	require.NoError(t, r.read(t.Context(), registry, id, -1))
	return r
}

func bubble(t *testing.T, fn func(t *testing.T)) { synctest.Test(t, fn) }

// open returns a registry that is closed with the test.
func open(t *testing.T, optFns ...func(*resume.Options)) *resume.Registry {
	r := resume.New(append([]func(*resume.Options){func(o *resume.Options) {
		o.OnEnd = func(_ context.Context, id string, err error) { t.Log(id, err) }
	}}, optFns...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		assert.NoError(t, r.Close(ctx))
	})
	return r
}

var words = strings.TrimSpace(strings.Repeat("word ", 200))

func TestReaderComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(50))
		registry := open(t)
		id := resume.NewID()
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, registry.Start(ctx, id, ask(srv)))
		r := &reader{t: t}
		require.NoError(t, r.read(ctx, registry, id, 3))
		cancel() // with the request that has started it
		time.Sleep(time.Second)
		require.NoError(t, r.read(t.Context(), registry, id, -1))
		assert.Equal(t, words, r.text)
		assert.Equal(t, stream.TypeComplete, r.last.Type)
		assert.Equal(t, words, all(t, registry, id).text, "a reader that comes late gets all of it")
		require.NoError(t, r.read(t.Context(), registry, id, -1), "there is nothing more")
		assert.Len(t, srv.Requests(), 1)

		time.Sleep(11 * time.Minute)
		assert.ErrorIs(t, r.read(t.Context(), registry, id, -1), resume.ErrUnknown)
	})
}

// However often and wherever a reader is cut off, it gets each message once and in
// order.
func TestReadersThatAreCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(100))
		log := resume.NewMemoryLog()
		here, there := open(t, func(o *resume.Options) { o.Log = log }), open(t, func(o *resume.Options) { o.Log = log })
		require.NoError(t, here.Start(t.Context(), "a", ask(srv)))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				r := &reader{t: t}
				for !r.last.Last() {
					registry := here
					if rand.N(2) == 0 {
						registry = there
					}
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(300*time.Millisecond))
					err := r.read(ctx, registry, "a", 1+rand.N(5))
					cancel()
					if !errors.Is(err, context.DeadlineExceeded) {
						assert.NoError(t, err)
					}
					time.Sleep(rand.N(200 * time.Millisecond))
				}
				assert.Equal(t, words, r.text)
			})
		}
		wg.Wait()
		assert.Len(t, srv.Requests(), 1)
	})
}

func TestStartOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text("hello"))
		log := resume.NewMemoryLog()
		registries := []*resume.Registry{open(t, func(o *resume.Options) { o.Log = log }), open(t, func(o *resume.Options) { o.Log = log })}
		var started atomic.Int64
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				err := registries[i%2].Start(t.Context(), "a", ask(srv))
				if err == nil {
					started.Add(1)
				} else {
					assert.ErrorIs(t, err, resume.ErrExists)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, started.Load())
		assert.Equal(t, "hello", all(t, registries[0], "a").text)
		assert.ErrorIs(t, registries[0].Start(t.Context(), "a", ask(srv)), resume.ErrExists, "also after the end")
		assert.Len(t, srv.Requests(), 1)
	})
}

func TestStop(t *testing.T) {
	for _, where := range []string{"here", "there"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := fake(t, bedrocktest.Text(words).StallAfter(30))
				log := resume.NewMemoryLog()
				ended := make(chan error, 1)
				here := open(t, func(o *resume.Options) {
					o.Log = log
					o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
				})
				stopper := here
				if where == "there" {
					stopper = open(t, func(o *resume.Options) { o.Log = log })
				}
				require.NoError(t, here.Start(t.Context(), "a", ask(srv)))
				r := &reader{t: t}
				require.NoError(t, r.read(t.Context(), stopper, "a", 1))
				began := time.Now()
				require.NoError(t, stopper.Stop(t.Context(), "a"))
				require.NoError(t, r.read(t.Context(), stopper, "a", -1))
				assert.LessOrEqual(t, time.Since(began), 2*time.Second+time.Millisecond)
				assert.Equal(t, stream.Message{Type: stream.TypeError, Sequence: r.after, Code: resume.CodeStopped}, r.last)
				assert.ErrorContains(t, <-ended, "stopped")
				synctest.Wait()
				assert.Less(t, srv.Requests()[0].Outcome.Events, 100, "the model was stopped")
				assert.NoError(t, stopper.Stop(t.Context(), "a"), "a second time does nothing")
				assert.ErrorIs(t, stopper.Stop(t.Context(), "b"), resume.ErrUnknown)
			})
		})
	}
}

// A source that ends with an error of its own once it is stopped, as most do, does
// not hide that it was.
func TestStopOfASourceThatHeedsIt(t *testing.T) {
	registry := open(t)
	for i := range 200 {
		id := fmt.Sprint(i)
		opened := make(chan struct{})
		require.NoError(t, registry.Start(t.Context(), id, func(ctx context.Context) (stream.Source, error) {
			return source(func(yield func(stream.Message, error) bool) {
				close(opened)
				<-ctx.Done()
				yield(stream.ErrorMessage(ctx.Err()), ctx.Err())
			}), nil
		}))
		<-opened
		require.NoError(t, registry.Stop(t.Context(), id))
		require.Equal(t, resume.CodeStopped, all(t, registry, id).last.Code)
	}
}

// late is a log whose Append takes a second after it has done its work, and fails
// if its context ends meanwhile, as over a network.
type late struct{ resume.Log }

func (l late) Append(ctx context.Context, c resume.Claim, messages ...stream.Message) (resume.Status, error) {
	status, err := l.Log.Append(ctx, c, messages...)
	select {
	case <-time.After(time.Second):
		return status, err
	case <-ctx.Done():
		return resume.Status{}, ctx.Err()
	}
}

// A stop in the middle of an Append leaves no doubt about the next sequence.
func TestStopDuringAppend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(50))
		registry := open(t, func(o *resume.Options) { o.Log = late{resume.NewMemoryLog()} })
		require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
		r := &reader{t: t}
		require.NoError(t, r.read(t.Context(), registry, "a", 2))
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, registry.Stop(t.Context(), "a"))
		require.NoError(t, r.read(t.Context(), registry, "a", -1))
		assert.Equal(t, resume.CodeStopped, r.last.Code)
	})
}

func TestNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(1))
		registry := open(t, func(o *resume.Options) { o.Grace = 10 * time.Second })
		require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
		r := &reader{t: t}
		for range 3 { // always back in time
			time.Sleep(8 * time.Second)
			require.NoError(t, r.read(t.Context(), registry, "a", 1))
		}
		// A reader that waits is there, whatever the model does meanwhile.
		time.Sleep(30 * time.Second)
		require.NoError(t, r.read(t.Context(), registry, "a", -1))
		assert.Equal(t, resume.CodeAbandoned, r.last.Code)
		assert.Less(t, srv.Requests()[0].Outcome.Events, 60)
	})
}

func TestNobodyReadsAndItGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(1))
		registry := open(t, func(o *resume.Options) { o.Grace = -1 })
		require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
		time.Sleep(205 * time.Second)
		assert.Equal(t, words, all(t, registry, "a").text)
	})
}

// cut is a log that a process can be cut off from.
type cut struct {
	resume.Log
	off atomic.Bool
}

func (l *cut) Append(ctx context.Context, c resume.Claim, messages ...stream.Message) (resume.Status, error) {
	if l.off.Load() {
		return resume.Status{}, errors.New("connection refused")
	}
	return l.Log.Append(ctx, c, messages...)
}

func TestProcessDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(1))
		log := resume.NewMemoryLog()
		dying := &cut{Log: log}
		ended := make(chan error, 1)
		here := open(t, func(o *resume.Options) {
			o.Log = dying
			o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
		})
		there := open(t, func(o *resume.Options) { o.Log = log })
		require.NoError(t, here.Start(t.Context(), "a", ask(srv)))
		r := &reader{t: t}
		require.NoError(t, r.read(t.Context(), there, "a", 3))
		dying.off.Store(true)
		began := time.Now()
		require.NoError(t, r.read(t.Context(), there, "a", -1))
		assert.Equal(t, resume.CodeInterrupted, r.last.Code)
		assert.LessOrEqual(t, time.Since(began), 11*time.Second)
		assert.ErrorContains(t, <-ended, "connection refused")
		synctest.Wait()
		assert.Less(t, srv.Requests()[0].Outcome.Events, 60, "the model was stopped")
	})
}

// A process that was paused learns that its answer is lost.
func TestProcessComesBackTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text("word word").ChunkSize(1).StallAfter(3))
		log := resume.NewMemoryLog()
		paused := &cut{Log: log}
		ended := make(chan error, 1)
		here := open(t, func(o *resume.Options) {
			o.Log = paused
			o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
		})
		there := open(t, func(o *resume.Options) { o.Log = log })
		require.NoError(t, here.Start(t.Context(), "a", ask(srv)))
		time.Sleep(time.Second)
		paused.off.Store(true)
		r := all(t, there, "a")
		assert.Equal(t, resume.CodeInterrupted, r.last.Code)
		paused.off.Store(false)
		assert.ErrorIs(t, <-ended, resume.ErrLost)
		assert.Equal(t, r.last, all(t, there, "a").last)
	})
}

func TestLogIsAwayForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(20))
		log := &cut{Log: resume.NewMemoryLog()}
		registry := open(t, func(o *resume.Options) { o.Log = log })
		require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
		time.Sleep(time.Second)
		log.off.Store(true)
		time.Sleep(5 * time.Second)
		log.off.Store(false)
		r := all(t, registry, "a")
		assert.Equal(t, words, r.text)
		assert.Equal(t, stream.TypeComplete, r.last.Type)
	})
}

func TestBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(100))
		registry := open(t, func(o *resume.Options) { o.MaxRunning, o.MaxBytes = 2, 500 })
		for _, id := range []string{"a", "b"} {
			require.NoError(t, registry.Start(t.Context(), id, ask(srv)))
		}
		err := registry.Start(t.Context(), "c", ask(srv))
		assert.ErrorIs(t, err, resume.ErrFull)
		assert.ErrorContains(t, err, "2 answers are running")
		r := all(t, registry, "a")
		assert.Equal(t, resume.CodeTooLong, r.last.Code)
		assert.NotEmpty(t, r.text)
		assert.Less(t, len(r.text), 500)
		all(t, registry, "b")
		synctest.Wait()
		assert.NoError(t, registry.Start(t.Context(), "c", ask(srv)))
		all(t, registry, "c")
		assert.Len(t, srv.Requests(), 3)
	})
}

func TestIDs(t *testing.T) {
	registry := open(t)
	never := func(context.Context) (stream.Source, error) { panic("asked") }
	for _, id := range []string{"", " ", "a b", "a\n", "é", "\xff", strings.Repeat("a", 129)} {
		assert.ErrorIs(t, registry.Start(t.Context(), id, never), resume.ErrID, "%q", id)
		assert.ErrorIs(t, (&reader{t: t}).read(t.Context(), registry, id, -1), resume.ErrUnknown, "%q", id)
		assert.ErrorIs(t, registry.Stop(t.Context(), id), resume.ErrUnknown, "%q", id)
	}
	assert.Len(t, resume.NewID(), 26)
	assert.NotEqual(t, resume.NewID(), resume.NewID())
}

func TestClose(t *testing.T) {
	t.Run("waits", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			srv := fake(t, bedrocktest.Text(words).Pace(50))
			registry := resume.New()
			require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
			began := time.Now()
			r := &reader{t: t}
			var wg sync.WaitGroup
			wg.Go(func() { assert.NoError(t, r.read(t.Context(), registry, "a", -1)) })
			require.NoError(t, registry.Close(t.Context()))
			wg.Wait()
			assert.Greater(t, time.Since(began), 3*time.Second)
			assert.Equal(t, words, r.text)
			assert.ErrorIs(t, registry.Start(t.Context(), "b", ask(srv)), resume.ErrClosed)
		})
	})
	t.Run("not for ever", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			srv := fake(t, bedrocktest.Text(words).StallAfter(5))
			log := resume.NewMemoryLog()
			registry, other := resume.New(func(o *resume.Options) { o.Log = log }), open(t, func(o *resume.Options) { o.Log = log })
			require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
			require.NoError(t, other.Start(t.Context(), "b", ask(srv)))
			var wg sync.WaitGroup
			wg.Go(func() {
				assert.ErrorIs(t, (&reader{t: t}).read(t.Context(), registry, "b", -1), resume.ErrClosed, "its answer goes on")
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			assert.ErrorIs(t, registry.Close(ctx), context.DeadlineExceeded)
			wg.Wait()
			assert.Equal(t, resume.CodeInterrupted, all(t, other, "a").last.Code)
			require.NoError(t, other.Stop(t.Context(), "b"))
			assert.Equal(t, resume.CodeStopped, all(t, other, "b").last.Code)
		})
	})
}

func TestAnswersThatFail(t *testing.T) {
	secret := errors.New("the prompt was: secret")
	fails := func(context.Context) (stream.Source, error) { return nil, secret }
	broken := bedrocktest.Text(words).ChunkSize(2).EndAfter(4)
	for name, test := range map[string]struct {
		open resume.Opener
		code string
		want func(*testing.T, error)
	}{
		"the opener fails":  {fails, "unknown_error", func(t *testing.T, err error) { assert.ErrorIs(t, err, secret) }},
		"the opener panics": {func(context.Context) (stream.Source, error) { panic(secret) }, "unknown_error", panicked},
		"no source":         {func(context.Context) (stream.Source, error) { return nil, nil }, "unknown_error", func(t *testing.T, err error) { assert.ErrorContains(t, err, "neither") }},
		"the source panics": {func(context.Context) (stream.Source, error) {
			return source(func(func(stream.Message, error) bool) { panic(secret) }), nil
		}, "unknown_error", panicked},
		"the source just ends": {func(context.Context) (stream.Source, error) {
			return source(func(func(stream.Message, error) bool) {}), nil
		}, "unknown_error", func(t *testing.T, err error) { assert.Error(t, err) }},
		"the model's stream ends": {ask(fake(t, broken)), "truncated", func(t *testing.T, err error) { assert.ErrorIs(t, err, bedrockx.ErrTruncated) }},
	} {
		t.Run(name, func(t *testing.T) {
			var ended error
			key := struct{ string }{"key"}
			registry := open(t, func(o *resume.Options) {
				o.OnEnd = func(ctx context.Context, id string, err error) {
					assert.Equal(t, "value", ctx.Value(key))
					assert.NoError(t, ctx.Err())
					assert.Equal(t, "a", id)
					ended = err
				}
			})
			require.NoError(t, registry.Start(context.WithValue(t.Context(), key, "value"), "a", test.open))
			r := all(t, registry, "a")
			assert.Equal(t, stream.TypeError, r.last.Type)
			assert.Equal(t, test.code, r.last.Code)
			require.NoError(t, registry.Close(t.Context()))
			test.want(t, ended)
		})
	}
}

func panicked(t *testing.T, err error) {
	var p *resume.PanicError
	require.ErrorAs(t, err, &p)
	assert.Contains(t, string(p.Stack), "resume_test")
}

// One slow reader of a thousand holds nobody up.
func TestSlowReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := fake(t, bedrocktest.Text(words).Pace(100))
		registry := open(t)
		require.NoError(t, registry.Start(t.Context(), "a", ask(srv)))
		began := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				assert.Equal(t, words, all(t, registry, "a").text)
				assert.Less(t, time.Since(began), 3*time.Second, "the model takes two seconds")
			})
		}
		wg.Go(func() {
			r := &reader{t: t}
			for !r.last.Last() {
				if !assert.NoError(t, r.read(t.Context(), registry, "a", 1)) {
					return
				}
				time.Sleep(10 * time.Second)
			}
			assert.Equal(t, words, r.text)
		})
		wg.Wait()
		assert.Len(t, srv.Requests(), 1)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := resume.NewMemoryLog(func(o *resume.MemoryOptions) { o.MaxAnswers, o.MaxBytes = 3, 3000 })
		claim := func(id string) resume.Claim {
			return resume.Claim{ID: id, Owner: id, Lease: time.Hour, Keep: time.Hour}
		}
		token := func(n int64) stream.Message {
			return stream.Message{Type: stream.TypeToken, Data: strings.Repeat("x", 500), Sequence: n}
		}
		last := func(n int64) stream.Message { return stream.Message{Type: stream.TypeComplete, Sequence: n} }
		for _, id := range []string{"a", "b", "c"} {
			require.NoError(t, log.Begin(t.Context(), claim(id)))
		}
		assert.ErrorIs(t, log.Begin(t.Context(), claim("d")), resume.ErrFull, "all are running")
		for _, id := range []string{"b", "a"} {
			_, err := log.Append(t.Context(), claim(id), token(1), last(2))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.NoError(t, log.Begin(t.Context(), claim("d")))
		_, err := log.Read(t.Context(), "b", 0, 0)
		assert.ErrorIs(t, err, resume.ErrUnknown, "the first to end goes first")
		_, err = log.Read(t.Context(), "a", 0, 0)
		assert.NoError(t, err)
		n := int64(1)
		for ; err == nil; n++ {
			_, err = log.Append(t.Context(), claim("c"), token(n))
		}
		assert.ErrorIs(t, err, resume.ErrFull)
		assert.EqualValues(t, 7, n, "five of about 550 bytes have room")
		_, err = log.Read(t.Context(), "a", 0, 0)
		assert.ErrorIs(t, err, resume.ErrUnknown, "it went for a running one")
		_, err = log.Append(t.Context(), claim("c"), last(n-1))
		assert.NoError(t, err, "the last message always has room")
	})
}

// A log that is full makes room without looking at all answers that it holds.
func TestFullMemoryIsNotSearched(t *testing.T) {
	const most = 5000
	log := resume.NewMemoryLog(func(o *resume.MemoryOptions) { o.MaxAnswers = most })
	n := 0
	answer := func() {
		n++
		claim := resume.Claim{ID: fmt.Sprint(n), Owner: "o", Lease: time.Hour, Keep: time.Hour}
		require.NoError(t, log.Begin(t.Context(), claim))
		_, err := log.Append(t.Context(), claim, stream.Message{Type: stream.TypeComplete, Sequence: 1})
		require.NoError(t, err)
	}
	empty := testing.AllocsPerRun(100, answer)
	for range most {
		answer()
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(100, answer), empty+2)
}

func ExampleRegistry() {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Text("One Piece is long.").Chunks("One Piece ", "is long.")
		}
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	client := bedrockx.New(srv.Client())

	registry := resume.New()
	ctx := context.Background()
	id := resume.NewID()
	err = registry.Start(ctx, id, func(ctx context.Context) (stream.Source, error) {
		return stream.Converse(ctx, client, &bedrockruntime.ConverseStreamInput{
			ModelId:  aws.String("us.amazon.nova-lite-v1:0"),
			Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Which is long?"}}}},
		})
	})
	if err != nil {
		panic(err)
	}
	var text string
	var seen int64
	for m, err := range registry.Read(ctx, id, seen) {
		if err != nil {
			panic(err)
		}
		text += m.Data
		seen = m.Sequence
		break // the connection is lost
	}
	for m, err := range registry.Read(ctx, id, seen) {
		if err != nil {
			panic(err)
		}
		text += m.Data
		if m.Last() {
			fmt.Println(text)
			fmt.Println(m.Type, "after", len(srv.Requests()), "question")
		}
	}
	if err := registry.Close(ctx); err != nil {
		panic(err)
	}
	// Output:
	// One Piece is long.
	// complete after 1 question
}
