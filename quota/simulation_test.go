package quota_test

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

var (
	dayOf   = flag.Int("day", 20_000, "questions of the simulated day; the quota grows with it")
	dayPlot = flag.String("day.svg", "", "simulate the day with all contestants, and draw it into this file")
)

// This file simulates a day: many processes share one quota, and a service counts
// as Bedrock documents it. It compares the limiter with the SDK's retries and with
// an oracle. The clock is that of synctest; the limiter's code and the SDK's run as
// they are.

const (
	processes = 8
	patience  = 10 * time.Second       // a user leaves if the model has not begun by then
	network   = 10 * time.Millisecond  // to the service, one way
	storage   = 500 * time.Microsecond // to the shared store, one way
)

// A question is one message of a user.
type question struct {
	at          time.Duration // since midnight
	process     int
	input       int64 // tokens, as the service counts them
	estimate    int64 // as the client does
	output, max int64
	takes       time.Duration
}

// A scene is a quota and the day that it has to serve.
type scene struct {
	name  string
	quota quota.Quota
	max   int64 // max tokens of a question

	// real is the part of the quota that the account really has; others use the
	// rest. 0 means all.
	real float64

	// windows says that the service counts by calendar minutes; otherwise it has
	// token buckets.
	windows bool

	// warning says that these are settings to avoid. They are simulated for the plot only.
	warning bool
}

// unknown reports whether the service counts otherwise than the limiter.
func (s scene) unknown() bool { return s.windows || s.real > 0 }

// scenes has the quotas for a day of so many questions: at its peak the day asks for
// about half as much again as they allow. Answers have 300 tokens in the mean.
func scenes(perDay int) []scene {
	tokens := quota.Quota{Model: model, TokensPerMinute: int64(perDay) * 3, RequestsPerMinute: int64(perDay), Burndown: 5}
	requests := quota.Quota{Model: model, TokensPerMinute: int64(perDay) * 3, RequestsPerMinute: int64(perDay) / 640, Burndown: 1}
	return []scene{
		{name: "tokens", quota: tokens, max: 600},
		{name: "tokens, max tokens of 4,096", quota: tokens, max: 4096},
		{name: "tokens, max tokens of 64,000", quota: tokens, max: 64_000, warning: true},
		{name: "requests", quota: requests, max: 600},
		{name: "tokens by calendar minutes", quota: tokens, max: 600, windows: true},
		{name: "others use a fifth", quota: tokens, max: 600, real: 0.8},
	}
}

// usage is what the question will have taken.
func (q question) usage() bedrockkit.Usage {
	return bedrockkit.Usage{InputTokens: q.input, OutputTokens: q.output}
}

// busy is how the load of a day goes: it peaks at about three times its mean, with
// lunch and an evening.
func busy(at time.Duration) float64 {
	bump := func(hour, width float64) float64 { return math.Exp(-math.Pow((at.Hours()-hour)/width, 2)) }
	return 0.4 + 0.9*bump(12.5, 1.5) + 2*bump(20.5, 1.7)
}

// questions are those of the day, in their order.
func (s scene) questions(perDay int) []question {
	random := rand.New(rand.NewPCG(uint64(perDay), 1))
	const steps = 24 * 60
	var sum float64
	for m := range steps {
		sum += busy(time.Duration(m) * time.Minute)
	}
	spread := func(mean, sigma float64) float64 { return mean * math.Exp(sigma*random.NormFloat64()-sigma*sigma/2) }
	var all []question
	for m := range steps {
		rate := float64(perDay) * busy(time.Duration(m)*time.Minute) / sum / 60 // a second
		for at := random.ExpFloat64() / rate; at < 60; at += random.ExpFloat64() / rate {
			q := question{
				at:      time.Duration(m)*time.Minute + time.Duration(at*float64(time.Second)),
				process: random.IntN(processes),
				input:   int64(spread(500, 0.5)),
				output:  min(s.max, max(1, int64(spread(300, 0.4)))),
				max:     s.max,
			}
			q.estimate = int64(spread(float64(q.input), 0.15))
			q.takes = time.Duration(spread(0.5, 0.3)*float64(time.Second)) + time.Duration(q.output)*time.Second/80
			all = append(all, q)
		}
	}
	return all
}

// A service counts one quota as Bedrock does: it reserves input and max tokens when
// a request starts, and settles input and output × burndown when it ends.
type service struct {
	quota   quota.Quota
	windows bool
	settled chan struct{} // for the oracle

	mu               sync.Mutex
	tokens, requests float64 // that are left
	at               time.Time
}

var errThrottled = &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Too many tokens, please wait before trying again.", Fault: smithy.FaultClient}

func newService(s scene) *service {
	q := s.quota
	if s.real > 0 {
		q.TokensPerMinute = int64(s.real * float64(q.TokensPerMinute))
		q.RequestsPerMinute = int64(s.real * float64(q.RequestsPerMinute))
	}
	return &service{quota: q, windows: s.windows, settled: make(chan struct{}, 1),
		tokens: float64(q.TokensPerMinute), requests: float64(q.RequestsPerMinute), at: time.Now()}
}

// refill adds what has come back since the last look. The service is locked.
func (s *service) refill() {
	now, limit, requests := time.Now(), float64(s.quota.TokensPerMinute), float64(s.quota.RequestsPerMinute)
	if s.windows {
		if now.Truncate(time.Minute) != s.at.Truncate(time.Minute) {
			s.tokens, s.requests = limit, requests
		}
	} else {
		minutes := now.Sub(s.at).Minutes()
		s.tokens, s.requests = min(limit, s.tokens+limit*minutes), min(requests, s.requests+requests*minutes)
	}
	s.at = now
}

// start takes a request in, or returns how long it is until it has room if nothing
// is given back.
func (s *service) start(q question) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refill()
	lack := max((float64(q.input+q.max)-s.tokens)/float64(s.quota.TokensPerMinute), (1-s.requests)/float64(s.quota.RequestsPerMinute))
	if lack > 0 {
		if s.windows {
			return time.Until(s.at.Truncate(time.Minute).Add(time.Minute))
		}
		return time.Duration(lack*float64(time.Minute)) + time.Microsecond
	}
	s.tokens -= float64(q.input + q.max)
	s.requests--
	return 0
}

// run is the model at work.
func (s *service) run(q question) bedrockkit.Usage {
	time.Sleep(q.takes)
	used := q.usage()
	s.mu.Lock()
	s.refill()
	s.tokens += float64(q.input + q.max - s.quota.Taken(used))
	if s.windows {
		s.tokens = min(s.tokens, float64(s.quota.TokensPerMinute))
	}
	s.mu.Unlock()
	select {
	case s.settled <- struct{}{}:
	default:
	}
	return used
}

// A tally is how the day went.
type tally struct {
	attempts, left atomic.Int64
	taken          atomic.Int64 // of the quota, in tokens

	mu        sync.Mutex
	waits     []time.Duration // until the model began, of the questions that were answered
	answered  minutes
	throttled minutes
}

// minutes counts what happens in each minute of the day.
type minutes [24 * 60]int

func (m *minutes) add(midnight time.Time) {
	m[min(len(m)-1, int(time.Since(midnight).Minutes()))]++
}

func (m *minutes) sum() (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

func (t *tally) shareThrottled() float64 {
	return float64(t.throttled.sum()) / float64(max(1, t.attempts.Load()))
}

// share is what was taken of the quota, beside what another one took.
func (t *tally) share(of *tally) float64 { return float64(t.taken.Load()) / float64(of.taken.Load()) }

// wait is a quantile of the waits, in seconds.
func (t *tally) wait(quantile float64) float64 {
	if len(t.waits) == 0 {
		return 0
	}
	slices.Sort(t.waits)
	return t.waits[int(quantile*float64(len(t.waits)-1))].Seconds()
}

// A contestant makes the clients of all processes; what it returns asks a question
// in the process where it belongs.
type contestant struct {
	name    string
	clients func(*testing.T, scene, *service) client
}

type client func(context.Context, *trial) error

// A trial is a question that a user waits for.
type trial struct {
	question
	service         *service
	tally           *tally
	asked, midnight time.Time
}

// send makes one attempt.
func (q *trial) send() (bedrockkit.Usage, error) {
	time.Sleep(network)
	defer time.Sleep(network)
	if q.start() > 0 {
		q.tally.mu.Lock()
		defer q.tally.mu.Unlock()
		q.tally.throttled.add(q.midnight)
		return bedrockkit.Usage{}, errThrottled
	}
	return q.service.run(q.question), nil
}

// start asks the service to take the question in. It returns how long the service
// has no room for it, 0 if it was taken.
func (q *trial) start() time.Duration {
	q.tally.attempts.Add(1)
	wait := q.service.start(q.question)
	if wait == 0 {
		q.tally.taken.Add(q.service.quota.Taken(q.usage()))
		q.tally.mu.Lock()
		defer q.tally.mu.Unlock()
		q.tally.waits = append(q.tally.waits, time.Since(q.asked))
		q.tally.answered.add(q.midnight)
	}
	return wait
}

// simulate runs a day with one contestant.
func simulate(t *testing.T, s scene, questions []question, c contestant) *tally {
	result := &tally{}
	synctest.Test(t, func(t *testing.T) {
		midnight := time.Now()
		service := newService(s)
		ask := c.clients(t, s, service)
		var users sync.WaitGroup
		for _, q := range questions {
			time.Sleep(time.Until(midnight.Add(q.at)))
			users.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := ask(ctx, &trial{q, service, result, time.Now(), midnight}); err != nil {
					result.left.Add(1)
				}
			})
		}
		users.Wait()
	})
	return result
}

// retried is the SDK's own loop of attempts.
func retried(ctx context.Context, retryer aws.RetryerV2, send func(context.Context) error) error {
	loop := retry.NewAttemptMiddleware(retryer, func(r any) any { return r })
	_, _, err := loop.HandleFinalize(ctx, middleware.FinalizeInput{}, middleware.FinalizeHandlerFunc(
		func(ctx context.Context, _ middleware.FinalizeInput) (out middleware.FinalizeOutput, _ middleware.Metadata, _ error) {
			return out, middleware.Metadata{}, send(ctx)
		}))
	return err
}

// withRetryers gives each process a retryer of the SDK.
func withRetryers(retryer func() aws.RetryerV2) func(*testing.T, scene, *service) client {
	return func(*testing.T, scene, *service) client {
		var each [processes]aws.RetryerV2
		for i := range each {
			each[i] = retryer()
		}
		return func(ctx context.Context, q *trial) error {
			return retried(ctx, each[q.process], func(context.Context) error {
				_, err := q.send()
				return err
			})
		}
	}
}

// adaptive is the SDK's adaptive mode. That sleeps for as long as its own rate says,
// at times for less than a nanosecond: then this clock would stand still.
type adaptive struct{ *retry.AdaptiveMode }

func newAdaptive() aws.RetryerV2 {
	return adaptive{retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.FailOnNoAttemptTokens = true })}
}

func (a adaptive) GetAttemptToken(ctx context.Context) (release func(error) error, err error) {
	for {
		if release, err = a.AdaptiveMode.GetAttemptToken(ctx); err == nil {
			return release, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// withLimiter has each process a limiter of its own. Each attempt is reserved and
// settled as bedrockx does.
func withLimiter(options func(scene) (quota.Quota, quota.Store)) func(*testing.T, scene, *service) client {
	return func(t *testing.T, s scene, _ *service) client {
		limit, store := options(s)
		var lanes [processes]*quota.Lane
		var retryers [processes]aws.RetryerV2
		for i := range lanes {
			limiter, err := quota.New([]quota.Quota{limit}, func(o *quota.Options) {
				o.Store, o.MaxWait = store, patience
			})
			require.NoError(t, err)
			lanes[i], retryers[i] = limiter.Lane("", "", model), retry.NewStandard()
		}
		return func(ctx context.Context, q *trial) error {
			lane := lanes[q.process]
			return retried(ctx, retryers[q.process], func(ctx context.Context) error {
				held, err := lane.Acquire(ctx, quota.Request{Input: q.estimate, Output: q.max, Estimated: true})
				if err != nil {
					return err
				}
				usage, err := q.send()
				if err != nil {
					held.Throttled(ctx)
				}
				held.Settle(ctx, lane.Quota().Taken(usage))
				return err
			})
		}
	}
}

// far is a store that others share, some way off.
type far struct{ *quota.MemoryStore }

func (f far) Reserve(ctx context.Context, q quota.Quota, tokens int64) (time.Duration, error) {
	time.Sleep(storage)
	defer time.Sleep(storage)
	return f.MemoryStore.Reserve(ctx, q, tokens)
}

func (f far) Settle(ctx context.Context, q quota.Quota, tokens int64) error {
	time.Sleep(storage)
	defer time.Sleep(storage)
	return f.MemoryStore.Settle(ctx, q, tokens)
}

func (f far) Throttled(ctx context.Context, q quota.Quota) error {
	time.Sleep(storage)
	defer time.Sleep(storage)
	return f.MemoryStore.Throttled(ctx, q)
}

// oracle sees what the service has left, in all processes and without a delay. It
// lets the questions go in their order, each as soon as it fits.
func oracle(_ *testing.T, _ scene, service *service) client {
	turn := make(chan struct{}, 1)
	admit := func(ctx context.Context, q *trial) error {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-turn }()
		for {
			wait := q.start()
			if wait == 0 {
				return nil
			}
			select {
			case <-time.After(wait):
			case <-service.settled:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return func(ctx context.Context, q *trial) error {
		if err := admit(ctx, q); err != nil {
			return err
		}
		service.run(q.question)
		return nil
	}
}

const shared = "limiter, shared store"

var contestants = []contestant{
	{"oracle", oracle},
	{shared, withLimiter(func(s scene) (quota.Quota, quota.Store) { return s.quota, far{quota.NewMemoryStore()} })},
	{"limiter, an eighth for each process", withLimiter(func(s scene) (quota.Quota, quota.Store) {
		q := s.quota
		q.TokensPerMinute, q.RequestsPerMinute = q.TokensPerMinute/processes, q.RequestsPerMinute/processes
		return q, nil
	})},
	{"SDK, adaptive retries", withRetryers(newAdaptive)},
	{"SDK, standard retries", withRetryers(func() aws.RetryerV2 { return retry.NewStandard() })},
}

// With the settings that docs/quotas.md recommends, the limiter serves what an oracle
// would, and the service throttles almost nothing. Where the quota is not what the
// limiter was told, a throttle has to tell it; of a small quota those are a larger
// share.
func TestDay(t *testing.T) {
	for i, s := range scenes(*dayOf) {
		t.Run(s.name, func(t *testing.T) {
			if s.warning && *dayPlot == "" {
				t.Skip("only for -day.svg")
			}
			questions := s.questions(*dayOf)
			results := map[string]*tally{}
			for _, c := range contestants {
				if *dayPlot == "" && c.name != "oracle" && c.name != shared {
					continue
				}
				r := simulate(t, s, questions, c)
				results[c.name] = r
				assert.Equal(t, len(questions), r.answered.sum()+int(r.left.Load()), "%s: each is answered or leaves", c.name)
				t.Logf("%-36s %.3f of the oracle, %6.2f %% throttled, %5.2f %% left, waited %.2f s (p50) %.2f s (p99)", c.name,
					r.share(results["oracle"]), 100*r.shareThrottled(), 100*float64(r.left.Load())/float64(len(questions)), r.wait(0.5), r.wait(0.99))
			}
			if s.warning {
				return
			}
			ours := results[shared]
			assert.GreaterOrEqual(t, ours.share(results["oracle"]), 0.95)
			bound := 0.01
			if s.unknown() && *dayOf < 80_000 {
				bound = 0.03
			}
			assert.Less(t, ours.shareThrottled(), bound)
			if *dayPlot != "" && i == 0 {
				require.NoError(t, os.WriteFile(*dayPlot, plot(questions, results), 0o644))
			}
		})
	}
}
