package metrics

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

const (
	slotTime  = 10 * time.Second
	slotCount = 360 // an hour

	mostModels = 16 // told apart in a slot
)

// A counter is a number that only grows within a slot, a gauge one that goes up and
// down: a slot has its highest value.
type (
	counter int
	gauge   int
)

const (
	calls counter = iota
	failures
	throttled
	fallbacks
	retries
	cacheHits
	unpriced
	jobsCompleted
	jobsFailed
	jobsRetried
	httpRequests
	httpErrors
	counters
)

const (
	streams gauge = iota // calls under way that stream
	unary                // the others
	openSockets
	queued
	running
	gauges
)

// history is the last hour in slots of ten seconds. Its size does not depend on what
// happens. The zero value is empty.
type history struct {
	mu    sync.Mutex
	slots [slotCount]slot
	now   [gauges]int
}

type slot struct {
	number  int64 // which span of time since 1970 it is
	counts  [counters]int
	most    [gauges]int
	latency distribution
	first   distribution // to the first token
	usage   bedrockkit.Usage
	costs   map[bedrockkit.ModelID]pricing.Amount
	kinds   map[bedrockx.Kind]int // of the calls that failed
	saved   Saved
}

// distribution counts durations in steps of a quarter of a power of two, from a
// millisecond on: a quantile of it is right within a tenth.
type distribution [4 * 19]uint32

func (d *distribution) add(t time.Duration) {
	i := 0
	if ms := float64(t) / float64(time.Millisecond); ms > 1 {
		i = min(int(4*math.Log2(ms)), len(d)-1)
	}
	d[i]++
}

func (d *distribution) merge(other *distribution) {
	for i, n := range other {
		d[i] += n
	}
}

// quantiles are nil if nothing was counted.
func (d *distribution) quantiles() *Quantiles {
	var all uint32
	for _, n := range d {
		all += n
	}
	if all == 0 {
		return nil
	}
	at := func(q float64) float64 {
		rank, sum := uint32(math.Ceil(q*float64(all))), uint32(0)
		for i, n := range d {
			if sum += n; sum >= rank {
				return math.Round(100*math.Exp2((float64(i)+0.5)/4)) / 100
			}
		}
		return 0
	}
	return &Quantiles{P50: at(0.50), P95: at(0.95), Count: int(all)}
}

// slot is that of now. h.mu is held.
func (h *history) slot() *slot {
	number := time.Now().UnixNano() / int64(slotTime)
	s := &h.slots[number%slotCount]
	if s.number != number {
		*s = slot{number: number, most: h.now}
	}
	return s
}

func (h *history) count(c counter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slot().counts[c]++
}

func (h *history) current(g gauge) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(h.now[g])
}

// level sets a gauge, move changes it.
func (h *history) level(g gauge, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(g, n)
}

func (h *history) move(g gauge, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(g, h.now[g]+by)
}

func (h *history) set(g gauge, n int) {
	s := h.slot() // as it began, with the value before
	h.now[g] = n
	s.most[g] = max(s.most[g], n)
}

// call counts one that has ended. fromCache is what the cache of answers has saved.
func (h *history) call(call *bedrockx.Call, err error, fromCache pricing.Amount) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.slot()
	s.counts[calls]++
	if kind := bedrockx.KindOf(err); err != nil && kind != bedrockx.KindCanceled {
		s.fail(kind, 1)
	}
	s.counts[retries] += max(0, call.Attempts-1)
	if call.Fallback {
		s.counts[fallbacks]++
	}
	s.latency.add(call.Latency)
	if call.FirstOutput > 0 {
		s.first.add(call.FirstOutput)
	}
	s.saved.Cache = s.saved.Cache.Add(fromCache)
	if p := call.PromptCache; p != nil {
		s.saved.PromptCache = s.saved.PromptCache.Add(p.Saved)
	}
	if call.CacheHit {
		s.counts[cacheHits]++
		return // its tokens and dollars were those of the call that was paid for
	}
	if !call.Usage.Unknown {
		s.usage = s.usage.Add(call.Usage)
	}
	if call.Cost == nil {
		s.counts[unpriced]++
		return
	}
	s.spend(call.Model, *call.Cost)
}

// fail counts calls that failed. The kinds of errors are few.
func (s *slot) fail(kind bedrockx.Kind, n int) {
	if s.kinds == nil {
		s.kinds = map[bedrockx.Kind]int{}
	}
	s.kinds[kind] += n
	s.counts[failures] += n
}

// otherModels is the name of the models after the first mostModels.
const otherModels bedrockkit.ModelID = "other"

func (s *slot) spend(model bedrockkit.ModelID, cost pricing.Amount) {
	if s.costs == nil {
		s.costs = map[bedrockkit.ModelID]pricing.Amount{}
	}
	if _, known := s.costs[model]; !known && len(s.costs) >= mostModels {
		model = otherModels
	}
	s.costs[model] = s.costs[model].Add(cost)
}

// A Report is what the operations page shows: so many points of time, and all of
// them together.
type Report struct {
	At     int64   `json:"at"`   // now, in seconds since 1970
	Step   int     `json:"step"` // seconds of a point
	Points []Point `json:"points"`
	Total  Point   `json:"total"`
	Now    Levels  `json:"now"`
	Night  *Night  `json:"night,omitempty"` // nil if the server uses none
}

// Night is the nightly batch that the server uses: what it cost in US dollars, and what
// it saved beside live calls. Both are nil if that is not known.
type Night struct {
	Day   string          `json:"day"` // such as 2026-11-30
	Manga int             `json:"manga"`
	Cost  *pricing.Amount `json:"cost_usd,omitempty"`
	Saved *pricing.Amount `json:"saved_usd,omitempty"`
}

// SetNight says which nightly batch the server uses now.
func (m *Metrics) SetNight(n Night) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.night = &n
}

// A Point is what happened in a span of time.
type Point struct {
	At        int64 `json:"at"` // its beginning, in seconds since 1970
	Calls     int   `json:"calls"`
	Errors    int   `json:"errors"`    // calls that failed; one that its caller has stopped did not
	Throttled int   `json:"throttled"` // requests to models that were throttled
	Retries   int   `json:"retries"`
	Fallbacks int   `json:"fallbacks"`
	CacheHits int   `json:"cache_hits"`
	Unpriced  int   `json:"unpriced"` // calls of unknown cost, which Cost lacks

	ErrorKinds map[bedrockx.Kind]int `json:"error_kinds,omitempty"`

	Latency    *Quantiles `json:"latency_ms,omitempty"`
	FirstToken *Quantiles `json:"first_token_ms,omitempty"`

	Tokens Tokens                                `json:"tokens"`
	Cost   map[bedrockkit.ModelID]pricing.Amount `json:"cost_usd"` // by model
	Saved  Saved                                 `json:"saved_usd"`

	Requests      int `json:"requests"`       // of HTTP
	RequestErrors int `json:"request_errors"` // with a status of 500 or more

	JobsCompleted int `json:"jobs_completed"`
	JobsFailed    int `json:"jobs_failed"`
	JobsRetried   int `json:"jobs_retried"`

	Most Levels `json:"most"`
}

// Quantiles are of durations in milliseconds.
type Quantiles struct {
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	Count int     `json:"count"`
}

// Tokens are those that were paid for.
type Tokens struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
}

// Saved is what was not paid, in US dollars: answers that the cache had, and input
// tokens that the service's prompt cache had.
type Saved struct {
	Cache       pricing.Amount `json:"cache"`
	PromptCache pricing.Amount `json:"prompt_cache"`
}

// Levels are numbers that go up and down.
type Levels struct {
	Streams int `json:"streams"`
	Sockets int `json:"sockets"`
	Queued  int `json:"queued"`  // jobs that wait, in the queues and in the worker
	Running int `json:"running"` // jobs
}

// points of a report, however long its time is.
const reportPoints = 60

// Report returns the time until now. The span is a multiple of ten minutes, an hour at
// most.
func (m *Metrics) Report(ctx context.Context, span time.Duration) Report {
	m.Sample(ctx)
	m.mu.Lock()
	night := m.night
	m.mu.Unlock()
	perPoint := int64(span / slotTime / reportPoints)
	h := &m.history
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.slot().number
	report := Report{At: time.Now().Unix(), Step: int(perPoint) * int(slotTime/time.Second), Now: levels(h.now), Night: night}
	var whole sum
	first := (last/perPoint - reportPoints + 1) * perPoint
	for i := range int64(reportPoints) {
		var one sum
		begin := first + i*perPoint
		for number := begin; number < begin+perPoint; number++ {
			if s := &h.slots[number%slotCount]; s.number == number {
				one.add(s)
				whole.add(s)
			}
		}
		report.Points = append(report.Points, one.point(begin))
	}
	report.Total = whole.point(first)
	return report
}

// Sample looks at what is not told by itself: the queues and the worker. [Metrics.Run]
// does it again and again, so that the last hour has it.
func (m *Metrics) Sample(ctx context.Context) {
	from := m.watched()
	m.history.move(streams, 0) // there is a slot, also if nothing happens
	if from.Worker == nil {
		return
	}
	worker := from.Worker()
	waiting := worker.Waiting + worker.Held
	if from.Queues != nil {
		depths, err := from.Queues(ctx)
		if err != nil {
			return // it is not known how many there are
		}
		for queue, n := range depths {
			if queue != DeadLetter {
				waiting += n
			}
		}
	}
	m.history.level(queued, waiting)
	m.history.level(running, worker.Running)
}

// Run samples until ctx ends.
func (m *Metrics) Run(ctx context.Context) {
	ticker := time.NewTicker(slotTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.Sample(ctx)
		}
	}
}

// sum is several slots together.
type sum struct{ slot }

func (s *sum) add(other *slot) {
	for i, n := range other.counts {
		if counter(i) != failures {
			s.counts[i] += n
		}
	}
	for kind, n := range other.kinds {
		s.fail(kind, n)
	}
	for i, n := range other.most {
		s.most[i] = max(s.most[i], n)
	}
	s.latency.merge(&other.latency)
	s.first.merge(&other.first)
	s.usage = s.usage.Add(other.usage)
	for model, cost := range other.costs {
		s.spend(model, cost)
	}
	s.saved.Cache = s.saved.Cache.Add(other.saved.Cache)
	s.saved.PromptCache = s.saved.PromptCache.Add(other.saved.PromptCache)
}

func (s *sum) point(number int64) Point {
	u := s.usage
	p := Point{
		At:    number * int64(slotTime/time.Second),
		Calls: s.counts[calls], Errors: s.counts[failures], Throttled: s.counts[throttled], Retries: s.counts[retries],
		Fallbacks: s.counts[fallbacks], CacheHits: s.counts[cacheHits], Unpriced: s.counts[unpriced],
		ErrorKinds: s.kinds,
		Latency:    s.latency.quantiles(), FirstToken: s.first.quantiles(),
		Tokens: Tokens{u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens},
		Cost:   s.costs, Saved: s.saved,
		Requests: s.counts[httpRequests], RequestErrors: s.counts[httpErrors],
		JobsCompleted: s.counts[jobsCompleted], JobsFailed: s.counts[jobsFailed], JobsRetried: s.counts[jobsRetried],
		Most: levels(s.most),
	}
	if p.Cost == nil {
		p.Cost = map[bedrockkit.ModelID]pricing.Amount{}
	}
	return p
}

func levels(g [gauges]int) Levels {
	return Levels{Streams: g[streams], Sockets: g[openSockets], Queued: g[queued], Running: g[running]}
}
