package quotatest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

// Options are the options of [Run]. The zero value of a field means its default.
type Options struct {
	// Advance moves the clock of the store that was opened last. Without it,
	// the suite waits until the time has passed, and leaves out the checks that
	// would take long.
	Advance func(time.Duration)

	// In runs a check, such as synctest.Test does. The default runs it as it is.
	In func(*testing.T, func(*testing.T))
}

// Run runs the checks as subtests, each with a store of its own from open. The
// stores may share what they store: each check has quotas of its own.
func Run(t *testing.T, open func(t *testing.T) quota.Store, optFns ...func(*Options)) {
	t.Helper()
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.In == nil {
		o.In = func(t *testing.T, fn func(*testing.T)) { fn(t) }
	}
	for _, c := range checks {
		if c.advances && o.Advance == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			o.In(t, func(t *testing.T) {
				if err := c.fn(&run{ctx: t.Context(), store: open(t), options: o}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A check returns what is wrong with a store.
type check struct {
	name     string
	advances bool // it needs Options.Advance
	fn       func(*run) error
}

var checks = []check{
	{"the bucket begins full and refills", false, checkRefill},
	{"requests are bounded", false, checkRequests},
	{"what has no room takes nothing", false, checkDenied},
	{"settling gives back", false, checkGiveBack},
	{"settling takes more", false, checkDebt},
	{"more than the bucket holds", false, checkLarge},
	{"a throttle halves", false, checkThrottled},
	{"not twice in a second", true, checkPause},
	{"throttles have a floor", true, checkFloor},
	{"the rate recovers", true, checkRecovery},
	{"quotas are apart", false, checkApart},
	{"a quota that was changed", false, checkChanged},
	{"context is done", false, checkContext},
	{"concurrent use", false, checkConcurrent},
}

// run is one run of a check.
type run struct {
	ctx     context.Context
	store   quota.Store
	options Options
}

var unique atomic.Int64

// quota returns a quota that nobody has used.
func (r *run) quota(tokens, requests int64) quota.Quota {
	return quota.Quota{
		Account: "quotatest", Region: "us-east-1", TokensPerMinute: tokens, RequestsPerMinute: requests,
		Model: bedrockkit.ModelID(fmt.Sprintf("test.model-%d-%d", time.Now().UnixNano(), unique.Add(1))),
	}
}

// slack is by how much a wait may be shorter, as time has passed meanwhile.
const slack = 5 * time.Second

// takes checks that there is room for so many tokens.
func (r *run) takes(q quota.Quota, tokens int64) error {
	wait, err := r.store.Reserve(r.ctx, q, tokens)
	if err != nil || wait > 0 {
		return fmt.Errorf("a Reserve of %d tokens returned the wait %v and the error %v; want that there is room", tokens, wait, err)
	}
	return nil
}

// waits checks that there is room for so many tokens after about want.
func (r *run) waits(q quota.Quota, tokens int64, want time.Duration) error {
	wait, err := r.store.Reserve(r.ctx, q, tokens)
	if err != nil || wait <= 0 || wait > want+time.Millisecond || wait < want-slack {
		return fmt.Errorf("a Reserve of %d tokens returned the wait %v and the error %v; want a wait of at most %v", tokens, wait, err, want)
	}
	return nil
}

// pass lets time pass.
func (r *run) pass(d time.Duration) {
	if r.options.Advance != nil {
		r.options.Advance(d)
		return
	}
	<-time.After(d)
}

// first returns the first error of steps that are taken until there is one.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func checkRefill(r *run) error {
	q := r.quota(60_000, 0) // 1,000 a second
	began := time.Now()
	if err := r.takes(q, 60_000); err != nil {
		return err
	}
	wait, err := r.store.Reserve(r.ctx, q, 200)
	if err != nil || wait > 200*time.Millisecond {
		return fmt.Errorf("a Reserve of 200 tokens of an empty bucket that gets 1,000 a second returned the wait %v and the error %v", wait, err)
	}
	if wait > 0 {
		r.pass(wait)
		if wait, err = r.store.Reserve(r.ctx, q, 200); err != nil || wait > time.Millisecond {
			return fmt.Errorf("after the wait, Reserve returned the wait %v and the error %v", wait, err)
		}
	}
	if wait > 0 { // a clock that is a little slower
		r.pass(wait)
		if err := r.takes(q, 200); err != nil {
			return err
		}
	}
	if r.options.Advance == nil && time.Since(began) < 190*time.Millisecond {
		return fmt.Errorf("a bucket that gets 1,000 tokens a second had 200 after %v", time.Since(began))
	}
	return nil
}

func checkRequests(r *run) error {
	q := r.quota(0, 3)
	return first(
		func() error { return r.takes(q, 1) },
		func() error { return r.takes(q, 1_000_000) },
		func() error { return r.takes(q, 1) },
		func() error { return r.waits(q, 1, 20*time.Second) },
		func() error { return r.store.Settle(r.ctx, q, -1_000_000) }, // of tokens, not of requests
		func() error { return r.waits(q, 1, 20*time.Second) },
	)
}

func checkDenied(r *run) error {
	q := r.quota(6000, 2)
	return first(
		func() error { return r.takes(q, 3000) },
		func() error { return r.waits(q, 6000, 30*time.Second) },
		func() error { return r.waits(q, 6000, 30*time.Second) },
		func() error { return r.takes(q, 3000) }, // the second request
		func() error { return r.waits(q, 1, 30*time.Second) },
	)
}

func checkGiveBack(r *run) error {
	q := r.quota(6000, 0)
	return first(
		func() error { return r.takes(q, 6000) },
		func() error { return r.store.Settle(r.ctx, q, -3000) },
		func() error { return r.takes(q, 3000) },
		func() error { return r.waits(q, 1000, 10*time.Second) },
		func() error { return r.store.Settle(r.ctx, q, -1_000_000) }, // not more than full
		func() error { return r.takes(q, 6000) },
		func() error { return r.waits(q, 1000, 10*time.Second) },
	)
}

func checkDebt(r *run) error {
	q := r.quota(6000, 0)
	return first(
		func() error { return r.takes(q, 1000) },
		func() error { return r.store.Settle(r.ctx, q, 8000) },
		func() error { return r.waits(q, 1000, 40*time.Second) },
	)
}

func checkLarge(r *run) error {
	q := r.quota(6000, 0)
	return first(
		func() error { return r.takes(q, 12_000) },
		func() error { return r.waits(q, 20_000, 120*time.Second) },
	)
}

func checkThrottled(r *run) error {
	q := r.quota(6000, 60)
	return first(
		func() error { return r.store.Throttled(r.ctx, q) },
		func() error { return r.waits(q, 6000, 42_196*time.Millisecond) }, // 30 s at the whole rate
		func() error { return r.takes(q, 3000) },
	)
}

func checkPause(r *run) error {
	q := r.quota(6000, 0)
	return first(
		func() error { return r.store.Throttled(r.ctx, q) },
		func() error { return r.store.Throttled(r.ctx, q) },
		func() error { return r.takes(q, 3000) },
		func() error { r.pass(time.Second); return r.store.Throttled(r.ctx, q) },
		func() error { return r.waits(q, 6000, 87_499*time.Millisecond) }, // from a quarter of the rate on
	)
}

func checkFloor(r *run) error {
	q := r.quota(6000, 0)
	for range 10 {
		if err := r.store.Throttled(r.ctx, q); err != nil {
			return err
		}
		r.pass(time.Second)
	}
	return first(
		func() error { return r.store.Settle(r.ctx, q, 6000) },
		func() error { r.pass(5 * time.Minute); return nil },
		func() error { return r.takes(q, 6000) },
		func() error { r.pass(time.Second); return nil },
		func() error { return r.store.Throttled(r.ctx, q) },
		func() error { r.pass(time.Second); return r.store.Throttled(r.ctx, q) },
		func() error { r.pass(time.Second); return r.store.Throttled(r.ctx, q) },
		func() error { r.pass(time.Second); return r.store.Throttled(r.ctx, q) },
		func() error { r.pass(time.Second); return r.store.Throttled(r.ctx, q) },
		func() error { return r.store.Settle(r.ctx, q, -1_000_000) },
		func() error { return r.takes(q, 6000) },
		// A tenth of 100 a second, and a second more of each second: 10 t + t²/2 = 1000.
		func() error { return r.waits(q, 1000, 35_830*time.Millisecond) },
	)
}

func checkRecovery(r *run) error {
	q := r.quota(6000, 0)
	return first(
		func() error { return r.store.Throttled(r.ctx, q) },
		func() error { return r.takes(q, 3000) },
		func() error { r.pass(10 * time.Second); return r.takes(q, 549) }, // 50 to 60 a second
		func() error { r.pass(5 * time.Minute); return r.takes(q, 6000) },
		func() error { return r.waits(q, 1000, 10*time.Second) }, // the whole rate
	)
}

func checkApart(r *run) error {
	base := r.quota(6000, 0)
	var quotas []quota.Quota
	for _, c := range [][3]string{
		{"", "", ""}, {"a", "", ""}, {"", "a", ""}, {"a", "b", ""}, {"b", "a", ""}, {"a/b", "", ""}, {"a", "", "/b"},
		{"a:b", "", ""}, {"a", "b:", ""}, {"", "", ":a"}, {"", "", "/a"}, {"A", "", ""}, {"a%2Fb", "", ""}, {"a\x00b", "", ""}, {"日本", "", ""}, {"{a}", "", ""},
	} {
		q := base
		q.Account, q.Region, q.Model = c[0], c[1], base.Model+bedrockkit.ModelID(c[2])
		quotas = append(quotas, q)
	}
	for _, q := range quotas {
		if err := r.takes(q, 6000); err != nil {
			return fmt.Errorf("the quota %q, %q, %q: %w", q.Account, q.Region, q.Model, err)
		}
	}
	for _, q := range quotas {
		if err := r.waits(q, 6000, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

func checkChanged(r *run) error {
	q := r.quota(6000, 0)
	more, less := q, q
	more.TokensPerMinute, less.TokensPerMinute = 12_000, 600
	return first(
		func() error { return r.takes(q, 6000) },
		func() error { return r.takes(more, 6000) },
		func() error { return r.waits(more, 6000, 30*time.Second) },
		func() error { return r.waits(less, 600, 20*time.Minute) },
	)
}

func checkContext(r *run) error {
	q := r.quota(6000, 0)
	cancelled, cancel := context.WithCancel(r.ctx)
	cancel()
	_, err := r.store.Reserve(cancelled, q, 6000)
	for op, err := range map[string]error{
		"Reserve":   err,
		"Settle":    r.store.Settle(cancelled, q, 6000),
		"Throttled": r.store.Throttled(cancelled, q),
	} {
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s returned the error %v; want that of the context", op, err)
		}
	}
	return r.takes(q, 6000)
}

// checkConcurrent has many goroutines take what there is: all of it is taken,
// and no more.
func checkConcurrent(r *run) error {
	const workers = 8
	q := r.quota(600, 0)
	began := time.Now()
	var granted atomic.Int64
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range 30 {
				wait, err := r.store.Reserve(r.ctx, q, 10)
				if err != nil {
					errs[w] = err
					return
				}
				if wait > 0 {
					continue
				}
				granted.Add(10)
				if errs[w] = r.store.Settle(r.ctx, q, -3); errs[w] != nil {
					return
				}
				if errs[w] = r.store.Settle(r.ctx, q, 3); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Ten tokens a second come in meanwhile, and what is given back for a moment
	// may be taken in it: 3 by each of the others.
	most := 600 + int64(time.Since(began).Seconds()*10) + 3*workers + 10
	if n := granted.Load(); n < 600 || n > most {
		return fmt.Errorf("%d tokens were taken of a bucket of 600; want 600 to %d", n, most)
	}
	return nil
}
