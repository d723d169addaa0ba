package auth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// LimitOptions are the options of [NewLimits]. The zero value of a field means its
// default; negative means no limit.
type LimitOptions struct {
	// PerMinute is how many requests and messages a caller may send in a minute,
	// and Burst how many of them at once. The defaults are 60 and 20.
	PerMinute, Burst int

	// PerAddress is the same for an address, for all callers from it. The default is
	// 300: offices share one.
	PerAddress int

	// Answers is how many answers a caller may have at once. The default is 8.
	Answers int

	// Sockets is how many WebSockets a caller may hold open at once. The default is 100:
	// a page has one, and people share a key.
	Sockets int

	// Daily is how many US dollars the models may cost for a caller in a day, which
	// begins at 00:00 UTC. The default is no limit. What is spent is in the memory of
	// the process.
	Daily pricing.Amount

	// Remember is how many callers and addresses are remembered; the one that was
	// not seen for the longest time is forgotten first. The default is 100,000.
	Remember int
}

// Limits bound what callers do. They are safe for concurrent use.
type Limits struct {
	o LimitOptions

	mu      sync.Mutex
	buckets recent[*rate.Limiter]
	budgets recent[*pricing.Budget]
	running map[string]int // answers, by caller
	sockets map[string]int // likewise
}

// NewLimits returns limits that have seen nobody.
func NewLimits(optFns ...func(*LimitOptions)) *Limits {
	o := LimitOptions{PerMinute: 60, Burst: 20, PerAddress: 300, Answers: 8, Sockets: 100, Remember: 100_000}
	for _, fn := range optFns {
		fn(&o)
	}
	return &Limits{o: o, buckets: newRecent[*rate.Limiter](o.Remember), budgets: newRecent[*pricing.Budget](o.Remember), running: map[string]int{}, sockets: map[string]int{}}
}

// Allow reports whether a caller may send something from an address now, and if
// not, when it may.
func (l *Limits) Allow(c Caller, address string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait, ok = l.take("caller "+c.ID, l.o.PerMinute, l.o.Burst); !ok {
		return wait, false
	}
	return l.take("address "+address, l.o.PerAddress, l.o.PerAddress/3)
}

// Suspect counts an address whose caller was refused, so that keys cannot be
// tried out.
func (l *Limits) Suspect(address string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take("suspect "+address, 30, 10)
}

func (l *Limits) take(key string, perMinute, burst int) (time.Duration, bool) {
	if perMinute < 0 {
		return 0, true
	}
	r := l.buckets.get(key, func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, burst))
	}).Reserve()
	if wait := r.Delay(); wait > 0 {
		r.Cancel() // it is refused, and does not come later
		return wait, false
	}
	return 0, true
}

// Begin counts an answer of a caller, and returns the function that ends it. It
// refuses a caller who has enough answers.
func (l *Limits) Begin(c Caller) (end func(), refused *Refused) {
	return l.count(l.running, c, l.o.Answers, "Too many answers are being given to you. Wait for one to end.")
}

// Connect counts a WebSocket of a caller, and returns the function to call when it is
// closed. It refuses a caller who has enough of them.
func (l *Limits) Connect(c Caller) (closed func(), refused *Refused) {
	return l.count(l.sockets, c, l.o.Sockets, "You have too many connections. Close one of them.")
}

// count adds one to those of a caller, of which there may be most.
func (l *Limits) count(those map[string]int, c Caller, most int, message string) (end func(), refused *Refused) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most >= 0 && those[c.ID] >= most {
		return nil, &Refused{Status: http.StatusTooManyRequests, Message: message, Wait: time.Second}
	}
	those[c.ID]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if those[c.ID]--; those[c.ID] == 0 {
			delete(those, c.ID)
		}
	}), nil
}

// Afford refuses a caller who has spent the dollars of the day.
func (l *Limits) Afford(c Caller) *Refused {
	if b := l.budget(c); b != nil && b.Remaining().Sign() <= 0 {
		tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		return &Refused{
			Status: http.StatusTooManyRequests, Wait: time.Until(tomorrow), Daily: true,
			Message: fmt.Sprintf("You have used the $%s that you may spend in a day. It starts again at 00:00 UTC.", l.o.Daily),
		}
	}
	return nil
}

// budget is what a caller may spend, nil for no limit.
func (l *Limits) budget(c Caller) *pricing.Budget {
	if l.o.Daily.Sign() <= 0 || c.ID == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budgets.get(c.ID, func() *pricing.Budget { return pricing.NewDailyBudget(l.o.Daily) })
}

// Spend is an option of the client that asks the models: each call is counted for the
// caller of its context, by its cost. The most that it may cost is set aside before it
// is sent, so calls at the same time cannot spend more than the day's dollars.
func (l *Limits) Spend(o *bedrockx.Options) {
	o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			if b := l.budget(CallerOf(ctx)); b != nil {
				call.Options.Budgets = append(slices.Clip(call.Options.Budgets), b)
			}
			return next(ctx, call)
		}
	})
}
