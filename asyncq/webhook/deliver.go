package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// The bounds of a round.
const (
	maxDue      = 100                    // deliveries that are asked for at a time
	maxHeld     = 1000                   // deliveries that a round has at a time
	maxClaims   = 8                      // claims under way at a time
	perReceiver = 4                      // attempts at one URL at a time
	maxLane     = 16                     // deliveries to one URL at a time, with those that wait
	patience    = 250 * time.Millisecond // after it an attempt is slow: it does not count for Concurrency, and nobody waits for it
)

// Run delivers what is due until ctx ends, whose cause it returns, and waits for
// the attempts that it has begun; they end with ctx too, and those do not count.
// If the store fails, it goes on.
func (d *Deliverer) Run(ctx context.Context) error {
	r := d.newRound(ctx)
	defer r.all.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var logged time.Time
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-d.more:
		}
		for r.fill() {
		}
		if _, err := r.result(); err != nil && ctx.Err() == nil && (logged.IsZero() || time.Since(logged) >= time.Minute) {
			logged = time.Now()
			d.o.Logger.Error("webhook: delivering", "error", err)
		}
		timer.Reset(d.o.PollInterval)
	}
}

// Deliver makes the attempts that are due now, at most a hundred, and returns how
// many it has made. It is what a timer or a Lambda calls in place of Run. It returns
// after twice Options.Timeout, at the latest; what a receiver that does not answer
// was not asked by then is due later. The error is the store's, or a panic of
// Options.OnEnd; that an attempt has failed is in its delivery.
func (d *Deliverer) Deliver(ctx context.Context) (int, error) {
	r := d.newRound(ctx)
	r.fill()
	r.all.Wait()
	return r.result()
}

// A round is the work of one Run or Deliver. Each delivery has a goroutine: it
// claims the delivery, waits for the turn of its receiver, and makes the attempt. A
// receiver that is slow, or has much to take, has the rest put off in the store, so
// that others come up.
type round struct {
	d      *Deliverer
	ctx    context.Context
	claims chan struct{}
	slots  chan struct{} // of Concurrency
	all    sync.WaitGroup

	mu    sync.Mutex
	lanes map[string]*lane // by URL
	held  int
	made  int
	errs  []error
}

// A lane is the way to one receiver.
type lane struct {
	turns chan struct{}
	slow  chan struct{} // closed when an attempt is slow
	users int
}

func (l *lane) isSlow() bool {
	select {
	case <-l.slow:
		return true
	default:
		return false
	}
}

func (d *Deliverer) newRound(ctx context.Context) *round {
	return &round{d: d, ctx: ctx, claims: make(chan struct{}, maxClaims), slots: make(chan struct{}, d.o.Concurrency), lanes: map[string]*lane{}}
}

// fill begins with what is due, and returns when that is claimed or put off. It
// reports whether there may be more.
func (r *round) fill() bool {
	r.mu.Lock()
	limit := min(maxDue, maxHeld-r.held)
	r.mu.Unlock()
	if limit <= 0 || r.ctx.Err() != nil {
		return false
	}
	var due []Delivery
	err := guarded("the store", func() (err error) {
		due, err = r.d.store.Due(r.ctx, time.Now(), limit)
		return err
	})
	if err != nil {
		r.fail("asking what is due", err)
	}
	var claiming sync.WaitGroup
	taken := make([]bool, len(due))
	for i, delivery := range due {
		r.mu.Lock()
		r.held++
		r.mu.Unlock()
		claiming.Add(1)
		answered := sync.OnceFunc(claiming.Done)
		r.all.Go(func() {
			defer func() {
				answered()
				r.mu.Lock()
				r.held--
				r.mu.Unlock()
			}()
			l := r.enter(delivery.URL)
			if l == nil {
				taken[i] = r.putOff(delivery)
				return
			}
			defer r.leave(delivery.URL, l)
			if taken[i] = r.claim(&delivery); taken[i] {
				answered()
				r.deliver(delivery, l)
			}
		})
	}
	claiming.Wait()
	return len(due) == limit && slices.Contains(taken, true) // else all are another's, or the store is down
}

// claim takes a delivery, for the time that it may wait and the attempt may take. If
// the process dies, it is due again after that.
func (r *round) claim(delivery *Delivery) bool {
	delivery.Attempt++
	delivery.NextAttempt = time.Now().Add(r.d.turnTimeout() + r.d.o.Timeout).UTC()
	return r.take(delivery)
}

// take stores a change to a delivery that nobody has, and reports whether nobody had.
func (r *round) take(delivery *Delivery) bool {
	r.claims <- struct{}{}
	defer func() { <-r.claims }()
	if r.ctx.Err() != nil {
		return false
	}
	err := guarded("the store", func() error { return r.d.store.Update(r.ctx, *delivery) })
	switch {
	case errors.Is(err, asyncq.ErrConflict), errors.Is(err, asyncq.ErrNotFound):
		return false // another has it
	case err != nil:
		r.fail("claiming a delivery", err)
		return false
	}
	delivery.Version++
	return true
}

// deliver waits for the receiver's turn and makes the attempt.
func (r *round) deliver(delivery Delivery, l *lane) {
	limit := time.NewTimer(r.d.turnTimeout())
	defer limit.Stop()
	// turn waits for a place, and gives the delivery back if there comes none.
	turn := func(places chan<- struct{}) bool {
		select {
		case places <- struct{}{}:
			return true
		case <-l.slow:
			r.giveBack(delivery, r.d.putOff(delivery.URL))
		case <-limit.C:
			r.giveBack(delivery, 0)
		case <-r.ctx.Done():
			r.giveBack(delivery, 0)
		}
		return false
	}
	if !turn(l.turns) {
		return
	}
	defer func() { <-l.turns }()
	if l.isSlow() { // and its turn came at the same time
		r.giveBack(delivery, r.d.putOff(delivery.URL))
		return
	}
	free := func() {}
	if known, _ := r.d.hangs.known(delivery.URL); !known { // else it is slow from the start
		if !turn(r.slots) {
			return
		}
		free = sync.OnceFunc(func() { <-r.slots })
		defer free()
	}
	slow := time.AfterFunc(patience, func() {
		free()
		r.slow(l)
	})
	defer slow.Stop()

	got := r.d.attempt(r.ctx, &delivery)
	if r.ctx.Err() != nil && got.err != nil {
		r.giveBack(delivery, 0) // not the receiver's fault, so it does not count
		return
	}
	r.mu.Lock()
	r.made++
	r.mu.Unlock()
	if got.hung {
		r.d.hangs.note(delivery.URL, r.d.o.Timeout)
	} else if got.err == nil {
		r.d.hangs.forget(delivery.URL)
	}
	r.settle(&delivery, got)
}

// attempt makes an attempt, if it is allowed.
func (d *Deliverer) attempt(ctx context.Context, delivery *Delivery) answer {
	if d.o.Allow != nil {
		err := guarded("Options.Allow", func() error {
			ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
			defer cancel()
			return d.o.Allow(ctx, delivery.URL)
		})
		switch {
		case errors.Is(err, errPanic), errors.Is(err, context.DeadlineExceeded):
			return answer{err: err}
		case err != nil:
			return answer{err: fmt.Errorf("%w: %w", ErrRefused, err)}
		}
	}
	got := d.send(ctx, delivery)
	got.hung = got.err != nil && errorWord(got.err) == "timeout"
	return got
}

// settle stores how an attempt went.
func (r *round) settle(delivery *Delivery, got answer) {
	d, now := r.d, time.Now().UTC()
	delivery.LastStatus, delivery.LastError = got.status, ""
	if got.err != nil {
		delivery.LastError = errorWord(got.err)
	}
	switch {
	case got.status >= 200 && got.status < 300:
		delivery.State = Delivered
	case got.status == http.StatusGone:
		delivery.State = Gone
	case errors.Is(got.err, ErrRefused), delivery.Attempt >= len(d.o.Schedule):
		delivery.State = Failed
	default:
		delivery.NextAttempt = now.Add(max(d.delay(delivery.Attempt), min(got.retryAfter, maxRetryAfter)))
	}
	r.update(delivery)
}

// update stores a delivery, and reports its end.
func (r *round) update(delivery *Delivery) {
	if delivery.State != Pending {
		delivery.EndedAt = time.Now().UTC()
	}
	// What was sent is to be stored also if the time to send is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 10*time.Second)
	defer cancel()
	err := guarded("the store", func() error { return r.d.store.Update(ctx, *delivery) })
	if errors.Is(err, asyncq.ErrConflict) {
		return // it took so long that another has it as well
	}
	if err != nil {
		r.fail("storing an attempt", err)
		return
	}
	delivery.Version++
	if delivery.State != Pending {
		if err := r.d.end(*delivery); err != nil {
			r.fail("telling an end", err)
		}
	}
}

// giveBack undoes a claim: no attempt was made.
func (r *round) giveBack(delivery Delivery, wait time.Duration) {
	delivery.Attempt--
	delivery.NextAttempt = time.Now().Add(wait).UTC()
	r.update(&delivery)
}

// putOff has a delivery that is not claimed come later, as its receiver is slow or
// has enough to take. One to a receiver that does not answer has failed when it is a
// day older than all its attempts would take.
func (r *round) putOff(delivery Delivery) bool {
	age := 24 * time.Hour
	for _, wait := range r.d.o.Schedule {
		age += max(wait, 0)
	}
	if known, _ := r.d.hangs.known(delivery.URL); !known || time.Since(delivery.CreatedAt) <= age {
		delivery.NextAttempt = time.Now().Add(r.d.putOff(delivery.URL)).UTC()
		return r.take(&delivery)
	}
	delivery.State, delivery.LastStatus, delivery.LastError = Failed, 0, "timeout"
	delivery.EndedAt = time.Now().UTC()
	if !r.take(&delivery) {
		return false
	}
	if err := r.d.end(delivery); err != nil {
		r.fail("telling an end", err)
	}
	return true
}

// putOff is how long a delivery waits whose receiver is slow: until it is asked
// again, and a time at random, so that they do not come back all at once.
func (d *Deliverer) putOff(url string) time.Duration {
	_, wait := d.hangs.known(url)
	return wait + rand.N(d.o.Timeout)
}

// enter returns the lane to a receiver, or nil if it is slow, full or left alone. One
// that has not answered the last time gets one delivery at a time.
func (r *round) enter(url string) *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	places, most := min(perReceiver, (cap(r.slots)+1)/2), maxLane
	if known, wait := r.d.hangs.known(url); known {
		if places, most = 1, 1; wait > 0 {
			return nil
		}
	}
	l := r.lanes[url]
	if l == nil {
		l = &lane{turns: make(chan struct{}, places), slow: make(chan struct{})}
		r.lanes[url] = l
	}
	if l.isSlow() || l.users >= most {
		return nil
	}
	l.users++
	return l
}

func (r *round) leave(url string, l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(r.lanes, url)
	}
}

// slow has all that wait for a receiver put off.
func (r *round) slow(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !l.isSlow() {
		close(l.slow)
	}
}

func (r *round) fail(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) < maxDue {
		r.errs = append(r.errs, fmt.Errorf("webhook: %s: %w", what, err))
	}
}

// result returns the attempts and errors since it was called last.
func (r *round) result() (made int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made, err = r.made, errors.Join(r.errs...)
	r.made, r.errs = 0, nil
	return made, err
}

// turnTimeout is how long a delivery waits for the turn of its receiver.
func (d *Deliverer) turnTimeout() time.Duration { return max(d.o.Timeout, time.Second) }

// delay is the time before an attempt, counted from 0.
func (d *Deliverer) delay(attempt int) time.Duration {
	wait := max(d.o.Schedule[attempt], 0)
	return wait + rand.N(wait/10+1)
}

// end reports that a delivery has ended.
func (d *Deliverer) end(delivery Delivery) error {
	if d.o.OnEnd == nil {
		return nil
	}
	return guarded("Options.OnEnd", func() error {
		d.o.OnEnd(delivery)
		return nil
	})
}

// errPanic is the error of a panic of what is the user's.
var errPanic = errors.New("panicked")

// guarded calls a function of the user's. A panic is its error.
func guarded(what string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("webhook: %s %w with a %T", what, errPanic, v) // the value may hold anything
		}
	}()
	return fn()
}
