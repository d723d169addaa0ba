package batch

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Plan is what a set will need, before it runs. Costs are in US dollars. A cost is
// nil if there is no price; CostErr then says why.
type Plan struct {
	Records int   `json:"records"`
	Refused int   `json:"refused,omitempty"`
	Bytes   int64 `json:"bytes"`
	Jobs    int   `json:"jobs"`

	// Usage is an estimate. The input is estimated from the text of each record, the
	// output from Job.OutputTokens or the bound of each record.
	Usage bedrockkit.Usage `json:"usage"`

	// Expected is the cost of the estimate. Bound is the most that the set can cost,
	// with one token for each byte of input, and each answer as long as it may be.
	// Both are at the batch rate. Live and LiveBound are the same for live calls in
	// the standard tier.
	Expected  *pricing.Amount `json:"expected,omitempty"`
	Bound     *pricing.Amount `json:"bound,omitempty"`
	Live      *pricing.Amount `json:"live,omitempty"`
	LiveBound *pricing.Amount `json:"live_bound,omitempty"`

	CostErr error `json:"-"`

	// RefusedRecords are the first records that would be refused, at most 100.
	// Estimate sets it.
	RefusedRecords []*RefusedError `json:"-"`
}

// share is the part of the estimate that so many records have.
func (p Plan) share(records int64) bedrockkit.Usage {
	if p.Records == 0 {
		return bedrockkit.Usage{Unknown: true}
	}
	of := func(n int64) int64 { return int64(float64(n) / float64(p.Records) * float64(records)) }
	return bedrockkit.Usage{InputTokens: of(p.Usage.InputTokens), OutputTokens: of(p.Usage.OutputTokens)}
}

// within returns ErrBudget if the set can cost more than a bound. Live reports
// whether records may be sent live.
func (p Plan) within(most *pricing.Amount, live bool) error {
	bound := p.Bound
	if live {
		bound = p.LiveBound
	}
	switch {
	case most == nil:
		return nil
	case bound == nil:
		return fmt.Errorf("batch: what the set can cost is not known: %w: %w", ErrBudget, p.CostErr)
	case bound.Cmp(*most) > 0:
		return fmt.Errorf("batch: the set can cost %s, Job.MaxCost is %s: %w", bound.Display(3), most.Display(3), ErrBudget)
	}
	return nil
}

// Estimate reads records as Submit does and returns the plan, without uploading
// anything. It reads all records, including those that would be refused. If a price is
// not known, Estimate does not fail; see Plan.CostErr.
func Estimate[In bedrockx.Payload[Out], Out any](ctx context.Context, c *Client, job Job, records iter.Seq2[Record[In], error]) (Plan, error) {
	if err := checkModel(job.Model); err != nil {
		return Plan{}, err
	}
	p := newPlanner(c, &job)
	ids := newIDSet()
	counted := newCounter(c.o.Limits)
	var refused []*RefusedError
	refusals := 0
	for r, err := range encode(&job, records) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Plan{}, err
		}
		if refusal := r.refusal(ids, c.o.Limits.MaxFileBytes); refusal != nil {
			if refusals++; len(refused) < 100 {
				refused = append(refused, refusal)
			}
			continue
		}
		p.add(r)
		counted.add(int64(len(r.body) + len(r.id) + len(`{"recordId":"","modelInput":}`+"\n")))
	}
	plan := p.plan()
	plan.Jobs, plan.Bytes, plan.Refused, plan.RefusedRecords = counted.jobs, counted.total, refusals, refused
	return plan, nil
}

// A counter counts the jobs that lines make. A splitter holds some back for the
// last job, which changes no count.
type counter struct {
	limits  Limits
	jobs    int
	records int
	bytes   int64 // of the job
	total   int64
}

func newCounter(limits Limits) *counter { return &counter{limits: limits} }

func (c *counter) add(size int64) {
	if c.jobs == 0 || c.records+1 > c.limits.MaxRecords || c.bytes+size > c.limits.MaxJobBytes {
		c.jobs++
		c.records, c.bytes = 0, 0
	}
	c.records++
	c.bytes += size
	c.total += size
}

// A planner sums what records take. Prices hold per token, so the sums are priced
// and not each record; only of a large input the rate may be another.
type planner struct {
	c   *Client
	job *Job
	now time.Time

	records   int
	small     sums
	large     [4]*pricing.Amount // of large records: expected, bound, live, live bound
	largeSums sums
	longest   int64 // answer of the model, for records without a bound
	err       error
}

// sums are tokens: in and out as they are likely, and the most.
type sums struct{ in, out, mostIn, mostOut int64 }

func (s *sums) add(o sums) {
	s.in, s.out, s.mostIn, s.mostOut = s.in+o.in, s.out+o.out, s.mostIn+o.mostIn, s.mostOut+o.mostOut
}

// largeInput is where some models' prices rise, in tokens or bytes.
const largeInput = 100_000

func newPlanner(c *Client, job *Job) *planner {
	p := &planner{c: c, job: job, now: time.Now()}
	for i := range p.large {
		p.large[i] = new(pricing.Amount)
	}
	known, _ := bedrockkit.Capabilities(job.Model)
	p.longest = int64(known.MaxOutput)
	return p
}

func (p *planner) add(r *encoded) {
	p.records++
	s := sums{in: pricing.EstimateTokens(string(r.body)), mostIn: int64(len(r.body)), mostOut: int64(r.maxTokens)}
	if s.mostOut == 0 {
		s.mostOut = p.longest
	}
	s.out = s.mostOut
	if n := int64(p.job.OutputTokens); n > 0 {
		s.out = min(n, s.mostOut)
		if s.mostOut == 0 {
			s.out = n
		}
	}
	if s.mostIn < largeInput {
		p.small.add(s)
		return
	}
	p.largeSums.add(s)
	for i, amount := range p.price(s) {
		p.large[i] = plus(p.large[i], amount)
	}
}

// price is what tokens cost: as likely and at most, in a job and live.
func (p *planner) price(s sums) [4]*pricing.Amount {
	var amounts [4]*pricing.Amount
	for i, live := range []bool{false, false, true, true} {
		usage := bedrockkit.Usage{InputTokens: s.in, OutputTokens: s.out}
		if i%2 == 1 {
			usage = bedrockkit.Usage{InputTokens: s.mostIn, OutputTokens: s.mostOut}
		}
		amount, err := p.c.cost(p.job.Model, usage, live, p.now)
		if err != nil {
			p.err = err
			continue
		}
		amounts[i] = &amount
	}
	return amounts
}

func (p *planner) plan() Plan {
	amounts := p.price(p.small)
	for i := range amounts {
		amounts[i] = plus(amounts[i], p.large[i])
	}
	all := p.small
	all.add(p.largeSums)
	return Plan{
		Records: p.records, Usage: bedrockkit.Usage{InputTokens: all.in, OutputTokens: all.out},
		Expected: amounts[0], Bound: amounts[1], Live: amounts[2], LiveBound: amounts[3], CostErr: p.err,
	}
}

// cost is the price of a usage in a job, or live.
func (c *Client) cost(model bedrockkit.ModelID, usage bedrockkit.Usage, live bool, day time.Time) (pricing.Amount, error) {
	return c.o.Prices.Cost(model, usage, func(o *pricing.CostOptions) {
		o.Region, o.Date = c.o.Region, day
		if !live {
			o.Tier = pricing.TierBatch
		}
	})
}

// price is what the usage of a job costs, on the day of its submission.
func (s *Submission) price(usage bedrockkit.Usage, j *jobState, live bool) *pricing.Amount {
	day := j.Submitted
	if day.IsZero() {
		day = s.st.Began
	}
	if usage == (bedrockkit.Usage{}) {
		return new(pricing.Amount)
	}
	amount, err := s.c.cost(s.st.Job.Model, usage, live, day)
	if err != nil {
		return nil
	}
	return &amount
}
