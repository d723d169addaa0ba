package quota

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Options are the options of a [Limiter]. The zero value of a field means its default.
type Options struct {
	// Store keeps what was taken from the quotas. The default is a new [MemoryStore],
	// so the limiter does not share the quotas with other limiters.
	Store Store

	// MaxWait bounds how long a request waits for room, in addition to the deadline of
	// its caller. The default is a minute. Negative means that no request waits, which
	// is useful with a fallback.
	MaxWait time.Duration

	// MaxQueue bounds how many requests wait for one quota. The default is 1,000;
	// negative means that no request waits.
	MaxQueue int

	// LocalShare is the share of the quotas that the process uses while Store fails,
	// such as 1 divided by the number of processes. The default is 1; the limiter then
	// adapts to throttles of the service.
	LocalShare float64

	// OnError is called with each error of Store; it is a [*StoreError]. It must be
	// safe for concurrent use. The default does nothing.
	OnError func(ctx context.Context, err error)
}

// A Limiter delays requests until their quota has room for them, so that the service
// does not throttle them. Clients may share one. It is safe for concurrent use, starts
// no goroutine and needs no Close.
type Limiter struct {
	options Options
	quotas  []Quota
	lanes   sync.Map     // of key and *Lane
	shared  bool         // others may use Store
	local   *MemoryStore // instead of Store, while that fails
	retryAt atomic.Int64 // when Store may be asked again, in Unix nanoseconds
}

// storePause is for how long a store that has failed is left alone.
const storePause = time.Second

// New returns a limiter for quotas. If several quotas match a request, the first one
// is used. A model without a quota is not limited. New fails if a model id or a
// burndown is not valid.
func New(quotas []Quota, optFns ...func(*Options)) (*Limiter, error) {
	l := &Limiter{local: NewMemoryStore()}
	for _, fn := range optFns {
		fn(&l.options)
	}
	o := &l.options
	if l.shared = o.Store != nil; !l.shared {
		o.Store = NewMemoryStore()
	}
	o.MaxWait = cmp.Or(o.MaxWait, time.Minute)
	o.MaxQueue = cmp.Or(o.MaxQueue, 1000)
	o.LocalShare = cmp.Or(o.LocalShare, 1)
	if o.OnError == nil {
		o.OnError = func(context.Context, error) {}
	}
	for i, q := range quotas {
		q, err := q.resolved()
		if err != nil {
			return nil, fmt.Errorf("quota %d: %w", i+1, err)
		}
		l.quotas = append(l.quotas, q)
	}
	return l, nil
}

// Lane returns the lane of a quota, or nil if the model has no quota. Account
// and region may be empty; the id may be an ARN.
func (l *Limiter) Lane(account, region string, model bedrockkit.ModelID) *Lane {
	k := key{account, region, model}
	if found, ok := l.lanes.Load(k); ok {
		return found.(*Lane)
	}
	name := canonical(model)
	for _, q := range l.quotas {
		if q.Model != name || q.Region != "" && q.Region != region || q.Account != "" && q.Account != account {
			continue
		}
		if q.TokensPerMinute <= 0 && q.RequestsPerMinute <= 0 {
			return nil
		}
		q.Region, q.Account = region, account
		found, _ := l.lanes.LoadOrStore(q.key(), &Lane{limiter: l, quota: q})
		return found.(*Lane)
	}
	return nil
}

// reserve asks the store, or the limiter's own while the store fails. An error is
// the context's.
func (l *Limiter) reserve(ctx context.Context, q Quota, tokens int64) (wait time.Duration, local bool, err error) {
	if time.Now().UnixNano() >= l.retryAt.Load() {
		wait, err := l.options.Store.Reserve(ctx, q, tokens)
		switch {
		case err == nil && wait <= 0 && ctx.Err() != nil: // nobody will use it
			kept := context.WithoutCancel(ctx)
			l.tell(kept, OpSettle, false, q, func(s Store, q Quota) error { return s.Settle(kept, q, -tokens) })
			return 0, false, ctx.Err()
		case err == nil || ctx.Err() != nil:
			return wait, false, ctx.Err()
		}
		l.failed(ctx, OpReserve, q, err)
	}
	wait, err = l.local.Reserve(ctx, l.share(q), tokens)
	return wait, true, err
}

// tell gives the store news of a reservation. A failure costs no request.
func (l *Limiter) tell(ctx context.Context, op Op, local bool, q Quota, fn func(Store, Quota) error) {
	switch {
	case local:
		_ = fn(l.local, l.share(q)) // it fails only with its context
	case time.Now().UnixNano() >= l.retryAt.Load():
		if err := fn(l.options.Store, q); err != nil {
			l.failed(ctx, op, q, err)
		}
	}
}

// failed leaves the store alone for a while. What it missed is forgotten within
// a minute, as the buckets fill.
func (l *Limiter) failed(ctx context.Context, op Op, q Quota, err error) {
	l.retryAt.Store(time.Now().Add(storePause).UnixNano())
	l.options.OnError(ctx, &StoreError{Op: op, Quota: q, Err: err})
}

// share is what the process uses of a quota while the store fails.
func (l *Limiter) share(q Quota) Quota {
	part := func(n int64) int64 {
		if n <= 0 {
			return n
		}
		return max(1, int64(float64(n)*l.options.LocalShare))
	}
	q.TokensPerMinute, q.RequestsPerMinute = part(q.TokensPerMinute), part(q.RequestsPerMinute)
	return q
}

// Stats are counts of the requests of one quota in this process.
type Stats struct {
	Account string             `json:"account,omitempty"`
	Region  string             `json:"region,omitempty"`
	Model   bedrockkit.ModelID `json:"model"`

	Waiting  int   `json:"waiting"`         // requests in the queue
	Reserved int64 `json:"reserved_tokens"` // by the running requests

	// Since the limiter was made:
	Admitted  int64 `json:"admitted"`  // requests that were sent
	Shed      int64 `json:"shed"`      // requests that got ErrLimited
	Throttled int64 `json:"throttled"` // requests that the service has throttled
}

// Stats returns a snapshot of the quotas that have been used so far, ordered by
// account, region and model.
func (l *Limiter) Stats() []Stats {
	var all []Stats
	l.lanes.Range(func(_, found any) bool {
		all = append(all, found.(*Lane).Stats())
		return true
	})
	slices.SortFunc(all, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Model, b.Model))
	})
	return all
}
